"""What children print reaches the operator: Flicker's lines always, Dagster's when they say what no other line does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flicker_dagster.cli import relay
from flicker_dagster.cli.relay import relay_output
from flicker_dagster_tests.waiting import until

OWN = "2026-03-02T09:00:00+0000 INFO    Fetched 3 new events from okta"
OWN_ERROR = "2026-03-02T09:00:00+0000 ERROR   okta: GET https://okta: HTTP 401: no. check the credentials"
CHATTER = "2026-03-02 09:00:00 +0000 - dagster.daemon - INFO - Checking for new runs"
RUN = "2026-03-02 09:00:00 +0000 - dagster - ERROR - okta_job - 069f039d - 917"
TICK = "2026-03-02 09:00:00 +0000 - dagster.daemon.SensorDaemon - ERROR - Sensor daemon caught an error for sensor {}"
CRASH = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', "ValueError: no"]
UNREACHABLE = [
    "Traceback (most recent call last):",
    '  File "grpc.py", line 1, in call',
    "grpc._channel._InactiveRpcError: <_InactiveRpcError of RPC that terminated with:",
    "\tstatus = StatusCode.UNAVAILABLE",
    ">",
    "",
    "The above exception was the direct cause of the following exception:",
    "",
    "Traceback (most recent call last):",
    '  File "sensor.py", line 1, in tick',
    "dagster._core.errors.DagsterUserCodeUnreachableError: Could not reach user code server.",
]


@pytest.fixture(autouse=True)
def usual_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLICKER_LOG", raising=False)
    monkeypatch.delenv("RUST_LOG", raising=False)


def relayed(lines: list[str], capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What a child's lines become on standard error."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.write(sys.argv[1])", "\n".join(lines) + "\n"],
        stdout=subprocess.PIPE,
    )
    relay_output("daemon", child).join(10)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()
    captured = capfd.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_our_own_lines_pass_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([OWN, OWN.replace("INFO   ", "WARNING")], capfd) == [OWN, OWN.replace("INFO   ", "WARNING")]


def test_a_stack_that_one_of_our_own_lines_brings_along_passes(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([OWN_ERROR, *CRASH, OWN], capfd) == [OWN_ERROR, *(f"daemon: {line}" for line in CRASH), OWN]


def test_chatter_of_dagster_is_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([CHATTER, "", OWN], capfd) == [OWN]


def test_a_failed_run_that_our_own_line_has_told_is_not_told_again(capfd: pytest.CaptureFixture[str]) -> None:
    cause = "okta: GET https://okta: HTTP 401: no. check the credentials"
    lines = [
        OWN_ERROR,
        f"2026-03-02 09:00:00 +0000 - dagster - ERROR - okta_job - 069f039d - okta.fetch - {cause}",
        f'{RUN} - okta.fetch - STEP_FAILURE - Execution of step "okta.fetch" failed.',
        "",
        cause,
        f"{RUN} - okta.deliver - Dependencies for step okta.deliver failed: ['okta.fetch']. Not executing.",
        f"{RUN} - RUN_FAILURE - Execution of run for \"okta_job\" failed. Steps failed: ['okta.fetch'].",
        "",
        cause,
    ]
    assert relayed(lines, capfd) == [OWN_ERROR]


def test_a_tick_that_our_own_line_has_told_is_not_told_again(capfd: pytest.CaptureFixture[str]) -> None:
    stack = [*CRASH[:2], "dagster._core.errors.DagsterUserCodeProcessError: okta: the registry is damaged"]
    assert relayed([OWN_ERROR, TICK.format("okta_live"), *stack], capfd) == [OWN_ERROR]


def test_a_defect_passes_with_its_stack_and_the_name_of_the_child(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [
        f'{RUN} - okta.fetch - STEP_FAILURE - Execution of step "okta.fetch" failed.',
        "",
        "dagster._core.errors.DagsterExecutionStepExecutionError: Error occurred while executing op",
        "",
        "Stack Trace:",
        '  File "walk.py", line 1, in walk',
        "The above exception was caused by the following exception:",
        "KeyError: 'x'",
    ]
    again = [
        f"{RUN} - RUN_FAILURE - Execution of run for \"okta_job\" failed. Steps failed: ['okta.fetch'].",
        *lines[1:],
    ]
    assert relayed([CHATTER, *lines, *again, CHATTER], capfd) == [f"daemon: {line}" for line in lines]


def test_a_run_that_fails_outside_of_its_steps_passes_with_its_stack(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [f'{RUN} - RUN_FAILURE - Execution of run for "okta_job" failed. An exception was thrown.', "", *CRASH]
    assert relayed(lines, capfd) == [f"daemon: {line}" for line in lines]


def test_a_run_that_was_interrupted_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    said = f'{RUN} - RUN_FAILURE - Execution of run for "okta_job" failed. Execution was interrupted unexpectedly.'
    stack = ["", "dagster._core.errors.DagsterExecutionInterruptedError", "", "Stack Trace:", '  File "api.py", line 1']
    [line] = relayed([said, *stack, "    raise error_cls()"], capfd)
    assert "interrupted unexpectedly" in line


def test_a_defect_in_a_tick_passes_with_the_stack_of_the_other_process(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [TICK.format("okta_live"), *CRASH[:2], "dagster._core.errors.DagsterUserCodeProcessError: KeyError: 'x'",
             "", "Stack Trace:", '  File "sensor.py", line 1, in tick']  # fmt: skip
    assert relayed(lines, capfd) == [f"daemon: {line}" for line in lines]


@pytest.mark.parametrize("kind", ["sensor", "schedule"])
def test_a_tick_of_what_an_edited_configuration_no_longer_has_is_no_defect(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    error = "dagster._core.errors.DagsterUserCodeProcessError: dagster._core.errors.DagsterInvariantViolationError: "
    error += f"Could not find {kind} 'okta_live'. Found: 'github_live'."
    lines = [
        TICK.format("okta_live"),
        *CRASH[:2],
        error,
        "",
        "Stack Trace:",
        '  File "impl.py", line 377, in get',
        "    raise",
    ]
    assert relayed([*lines, OWN_ERROR], capfd) == [OWN_ERROR]


def test_a_crash_passes_even_where_it_follows_chatter_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([CHATTER, *CRASH, CHATTER], capfd) == [f"daemon: {line}" for line in CRASH]


def test_an_outage_is_one_line_for_all_sources_together(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [line for name in ("okta_live", "github_live") for line in (TICK.format(name), *UNREACHABLE)]
    assert relayed(lines, capfd) == [
        "daemon: Sensor daemon caught an error for sensor okta_live: "
        "DagsterUserCodeUnreachableError: Could not reach user code server."
    ]


def test_an_outage_is_told_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(relay, "REMIND_S", 0.0)
    lines = [line for name in ("okta_live", "github_live") for line in (TICK.format(name), *UNREACHABLE)]
    assert len(relayed(lines, capfd)) == 2


def test_a_defect_beside_an_outage_is_a_defect(capfd: pytest.CaptureFixture[str]) -> None:
    lines = [TICK.format("okta_live"), *UNREACHABLE[:-1], "KeyError: 'x'"]
    assert relayed(lines, capfd) == [f"daemon: {line}" for line in lines]


@pytest.mark.parametrize(
    "error",
    [
        "OSError: [Errno 28] No space left on device",
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked",
        "psycopg2.OperationalError: connection refused",
        "ConnectionRefusedError: [Errno 111] Connection refused",
    ],
)
def test_what_is_full_busy_or_away_is_one_line(error: str, capfd: pytest.CaptureFixture[str]) -> None:
    [line] = relayed([TICK.format("okta_live"), *CRASH[:2], error], capfd)
    assert line.endswith(f"okta_live: {error.removeprefix('sqlalchemy.exc.').removeprefix('psycopg2.')}")


def test_an_error_of_a_daemon_without_a_stack_is_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    line = "2026-03-02 09:00:00 +0000 - dagster.daemon - \x1b[34mERROR\x1b[0m - no heartbeat"
    assert relayed([line], capfd) == ["daemon: no heartbeat"]


def test_indented_lines_without_trouble_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([CHATTER, "    and more chatter", OWN, "    after our own"], capfd) == [OWN]


def test_at_debug_everything_passes(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLICKER_LOG", "debug")
    assert relayed([CHATTER, OWN], capfd) == [f"daemon: {CHATTER}", OWN]


def test_a_line_is_shown_when_it_comes_and_not_with_the_next_one(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import os, sys; os.write(1, sys.argv[1].encode()); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", program, OWN + "\n"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    thread = relay_output("daemon", child)
    said: list[str] = []

    def shown() -> str:
        said.append(capfd.readouterr().err)
        return "".join(said)

    until(shown, "the line is shown while the child lives")
    child.stdin.close()
    thread.join(10)
    child.wait()
    child.stdout.close()
    assert shown() == OWN + "\n"


def test_bytes_that_are_no_text_do_not_end_it(capfd: pytest.CaptureFixture[str]) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", r"import os; os.write(1, b'ERROR \xff\n'); os.write(1, b'ERROR last')"],
        stdout=subprocess.PIPE,
    )
    relay_output("web UI", child).join(10)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()
    assert capfd.readouterr().err.splitlines() == ["web UI: ERROR \ufffd", "web UI: ERROR last"]
