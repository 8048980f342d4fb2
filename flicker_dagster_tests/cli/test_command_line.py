"""Whatever is typed or piped: one line, a fitting exit code, and no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings
from hypothesis import given as tried
from hypothesis import strategies as st

from flicker_dagster.cli import status as status_module
from flicker_dagster.cli.elsewhere import Elsewhere
from flicker_dagster.cli.main import ELSEWHERE, cli
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.config.builders import SOURCE

FLICKER = Path(sys.executable).with_name("flicker")


def invoke(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), env={"FLICKER_WORK_DIR": "", **env})


def one_line(done: Result) -> str:
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("arguments", [(), ("position",), ("dead-letters",)])
def test_without_arguments_it_shows_its_help(arguments: tuple[str, ...]) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: flicker")
    assert "Commands:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("statsu",), "flicker: no command 'statsu' (did you mean status?) (see `flicker --help`)"),
        (("position", "shwo"), "flicker: no command 'shwo' (did you mean show?) (see `flicker position --help`)"),
        (("--port", "0"), "flicker: Invalid value for '--port': 0 is not in the range 1<=x<=65535. (see `flicker --help`)"),
        (("--port", "x"), "flicker: Invalid value for '--port': 'x' is not a valid integer range. (see `flicker --help`)"),
        (("demo", "--rate", "nan"), "flicker: Invalid value for '--rate': 'nan' is not a number. (see `flicker demo --help`)"),
        (("simulate", "okta", "--late", "7"),
         "flicker: Invalid value for '--late': 7.0 is not in the range 0<=x<=1. (see `flicker simulate --help`)"),
        (("simulate", "--history", "1e300"), "flicker: Invalid value for '--history': 1e+300 is not in the range "
         "0<=x<=87600. (see `flicker simulate --help`)"),
        (("status", "--bogus"), "flicker: No such option '--bogus'. (see `flicker status --help`)"),
        (("position", "set"), "flicker: Missing argument 'SOURCE'. (see `flicker position set --help`)"),
        (("--registry-file", "gs://b/k", "--track"), "flicker: --registry-file (FLICKER_REGISTRY_FILE): found an address "
         "with gs://, which is no store of Flicker, expected a path or s3://bucket/key"),
        (("-c", "a\x1bb\0"), "flicker: no configuration at 'a\\x1bb\\x00'; name it with -c, or see `flicker demo` "
         "(see `flicker --help`)"),
        (("backfill", "x", "2h", "now", "--url", "http://[::1"), "flicker: Invalid value for '--url': found the host '[::1', "
         "expected a name or address and a port from 1 to 65535 (see `flicker backfill --help`)"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_2(arguments: tuple[str, ...], line: str) -> None:
    done = invoke(*arguments)
    assert (done.exit_code, one_line(done)) == (2, line)


# -- options before and behind a subcommand


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which `flicker status` was called."""
    seen: list[Settings] = []

    def status(settings: Settings, **_: object) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(status_module, "show_status", status)
    return seen


BEFORE = ["-c", "a.yaml", "--registry-file", "a.json", "--state-dir", "a", "--work-dir", "b"]


@pytest.mark.parametrize("arguments", [[*BEFORE, "status"], ["status", *BEFORE], [*BEFORE[:4], "status", *BEFORE[4:]]])
def test_places_are_named_before_or_behind_a_subcommand(asked: list[Settings], arguments: list[str]) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 0, done.output
    assert asked == [Settings("a.yaml", "a.json", "a", "b")]


def test_what_is_named_last_wins(asked: list[Settings]) -> None:
    assert invoke(*BEFORE, "status", "--work-dir", "c", "--config", "c.yaml").exit_code == 0
    assert asked == [Settings("c.yaml", "a.json", "a", "c")]


def test_the_environment_names_what_the_command_line_does_not(asked: list[Settings]) -> None:
    done = invoke("status", "--work-dir", "w", FLICKER_CONFIG="e.yaml", FLICKER_REGISTRY_FILE="s3://b/r.json")
    assert done.exit_code == 0, done.output
    assert asked == [Settings("e.yaml", "s3://b/r.json", "w", "w")]


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path] if path else []
    for name, below in group.commands.items():
        below = below.loaded if isinstance(below, Elsewhere) else below
        found += _leaves(below, (*path, name)) if isinstance(below, click.Group) else [(*path, name)]
    return found


assert isinstance(cli, click.Group)
COMMANDS = _leaves(cli)


@pytest.mark.parametrize(
    "command",
    [path for path in COMMANDS if path[0] not in ("demo", "destinations", "infer", "schema", "simulate", "vendors")],
)
def test_every_command_that_has_settings_says_so(command: tuple[str, ...]) -> None:
    shown = invoke(*command, "--help").stdout
    for option in ("-c, --config", "--registry-file", "--state-dir", "--work-dir"):
        assert option in shown


@pytest.mark.parametrize("command", ELSEWHERE, ids=lambda each: each.name)
def test_a_command_elsewhere_is_summed_up_as_its_own_help_begins(command: Elsewhere) -> None:
    whole = 1_000
    assert command.get_short_help_str(whole) == command.loaded.get_short_help_str(whole)
    assert command.loaded.name == command.name


# -- how it ends


def _fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Result:
    def status(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(status_module, "show_status", status)
    return invoke("status")


def test_an_error_that_nobody_expected_is_one_line_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _fails(monkeypatch, KeyError("a-secret"))
    assert done.exit_code == 1
    assert one_line(done).startswith(
        "flicker: internal error, please report it: KeyError in cli/test_command_line.py, line"
    )
    assert one_line(done).endswith("FLICKER_LOG=debug shows the trace")
    assert "a-secret" not in done.output
    monkeypatch.setenv("FLICKER_LOG", "debug")
    assert "Traceback" in _fails(monkeypatch, KeyError("a-secret")).stderr


def test_ctrl_c_ends_it_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _fails(monkeypatch, KeyboardInterrupt())
    assert (done.exit_code, done.stderr.split()) == (130, ["flicker:", "interrupted"])


def test_an_error_of_the_system_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _fails(monkeypatch, PermissionError(13, "Permission denied", "/some/where"))
    assert (done.exit_code, one_line(done)) == (
        1,
        "flicker: Permission denied '/some/where'; FLICKER_LOG=debug shows the trace",
    )


def _shell(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], env=os.environ | {"F": str(FLICKER)} | env,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("$F schema | head -c 1", ""),
        ("$F schema >&-", ""),
        ("$F schema <&- >/dev/null", ""),
        ("$F schema >/dev/full", "flicker: No space left on device; FLICKER_LOG=debug shows the trace\n"),
        ("$F statsu 2>&-", ""),
    ],
)
def test_whoever_reads_the_output_it_ends_in_peace(script: str, said: str) -> None:
    assert _shell(script).stderr == said


def test_a_terminal_that_knows_ascii_only_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(SOURCE.replace("name: one", "name: ü…1"), encoding="utf-8")
    done = _shell(
        f"$F sources -c {tmp_path}/config.yaml --work-dir {tmp_path}",
        LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"source +(\\xfc\\u2026|ü…)1\n", done.stdout)


def test_ctrl_c_while_it_waits_leaves_no_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    (tmp_path / "config.yaml").write_text(SOURCE + f"    api_key: ${{file:{tmp_path}/token}}\n")
    command = [FLICKER, "--validate", "-c", tmp_path / "config.yaml"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        (tmp_path / "token").open("w"),  # opens when the command has begun to read
    ):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.split()) == (130, ["flicker:", "interrupted"])


def test_a_work_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(SOURCE)
    for mode in (["--once"], ["--once", "--track"], ["--track"]):
        done = invoke("-c", str(tmp_path / "config.yaml"), "--work-dir", "/proc/none", *mode)
        assert (done.exit_code, one_line(done)) == (
            2,
            "flicker: cannot write to --work-dir /proc/none: No such file or directory; name another directory",
        )


# -- unset variables


@pytest.mark.parametrize("mode", ["--once", "--dry-run"])
def test_what_has_no_value_is_told_before_anything_is_asked(
    tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SOURCE.replace("https://api.example.com", "http://127.0.0.1:9") + "    api_key: ${NO_KEY}\n")
    done = invoke("-c", str(config), "--work-dir", str(tmp_path / "w"), mode)
    assert done.exit_code == 1
    assert (
        caplog.messages[0] == f"{config}:9: one: api_key: ${{NO_KEY}} is not set; set the environment variable NO_KEY"
    )


# -- anything


WORDS = [
    "status", "sources", "position", "show", "set", "rewind", "dead-letters", "list", "drop", "replay", "schema", "health",
    "backfill", "one", "two", "2h", "now", "soon", "-c", "--config", "--registry-file", "--state-dir", "--work-dir", "--json",
    "--validate", "--track", "--port", "--host", "--url", "--id", "--raw", "--yes", "--from-history", "--redeliver", "--help",
    "--version", "--bogus", "--", "-", "", " ", "\0", "\x1b[31m", "\udcff", "ü", "0", "70000", "abc", "-1", "9" * 50, "n" * 300,
    "s3://", "S3://b", "gs://b", "/etc/passwd/x", "/dev/null", "/", "~nobody-here/x", "CONFIG", "BROKEN", "--port=", "-c=",
]  # fmt: skip


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@tried(words=st.lists(st.sampled_from(WORDS) | st.text(max_size=4), min_size=1, max_size=7))
def test_any_words_end_in_an_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Never `--once` and its like, and no `flicker` that would run: those are asked for by one word only."""
    (tmp_path / "config.yaml").write_text(SOURCE)
    (tmp_path / "broken.yaml").write_text("api_sources: {")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flicker_dagster.cli.main._work", lambda *_, **__: 0)
    files = {"CONFIG": "config.yaml", "BROKEN": "broken.yaml"}
    done = CliRunner().invoke(cli, [files.get(word, word) for word in words], input="")
    assert done.exit_code in (0, 1, 2), done.output
    assert "internal error" not in done.output, done.output
    assert "Traceback" not in done.output
    if done.exit_code == 2:
        assert all(line.isprintable() for line in done.stderr.splitlines())
