"""What children print reaches the operator: Flicker's lines always, Dagster's when something is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flicker_dagster.cli.relay import relay_output

OWN = "2026-03-02T09:00:00+0000 INFO    Fetched 3 new events from okta"
CHATTER = "2026-03-02 09:00:00 +0000 - dagster.daemon - INFO - Checking for new runs"


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


def test_chatter_of_dagster_is_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([CHATTER, "", OWN], capfd) == [OWN]


def test_trouble_passes_with_its_traceback_and_the_name_of_the_child(capfd: pytest.CaptureFixture[str]) -> None:
    trouble = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', "ValueError: no"]
    assert relayed([CHATTER, *trouble, CHATTER], capfd) == [f"daemon: {line}" for line in trouble]


def test_indented_lines_without_trouble_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed([CHATTER, "    and more chatter", OWN, "    after our own"], capfd) == [OWN]


def test_at_debug_everything_passes(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLICKER_LOG", "debug")
    assert relayed([CHATTER, OWN], capfd) == [f"daemon: {CHATTER}", OWN]


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
