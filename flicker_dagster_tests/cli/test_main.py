"""The command's own manners: help, version, refusals, and errors without tracebacks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flicker_dagster import __version__
from flicker_dagster.cli.main import cli
from flicker_dagster_tests.cli.scene import PROGRAM


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_version() -> None:
    done = invoke("--version")
    assert (done.exit_code, done.stdout.strip()) == (0, f"flicker, version {__version__}")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_option_and_command(flag: str) -> None:
    done = invoke(flag)
    assert done.exit_code == 0
    for word in ("--config", "--track", "--registry-file", "--state-dir", "--work-dir", "--validate", "--dry-run"):
        assert word in done.stdout
    for word in ("--once", "--no-ui", "--host", "--port", "schema", "demo", "health", "simulate"):
        assert word in done.stdout


@pytest.mark.parametrize("command", ["schema", "demo", "health", "simulate"])
def test_every_command_has_help(command: str) -> None:
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


def test_a_registry_file_without_track_is_refused() -> None:
    done = invoke("--registry-file", "registry.json")
    assert done.exit_code == 2
    assert "add --track" in done.stderr


@pytest.mark.parametrize("mode", [(), ("--once",), ("--dry-run",), ("--once", "--track")])
def test_a_missing_configuration_is_refused_and_nothing_is_created(tmp_path: Path, mode: tuple[str, ...]) -> None:
    done = invoke("-c", str(tmp_path / "none.yaml"), "--work-dir", str(tmp_path / "work"), *mode)
    assert done.exit_code == 2
    assert "no configuration at" in done.stderr
    assert "flicker demo" in done.stderr
    assert not (tmp_path / "work").exists()


def test_an_unknown_option_is_refused() -> None:
    assert invoke("--bogus").exit_code == 2


def test_the_schema_is_valid_json_schema_of_the_configuration() -> None:
    done = invoke("schema")
    assert done.exit_code == 0
    schema = json.loads(done.stdout)
    assert "$schema" in schema
    assert "api_sources" in schema["properties"]


@pytest.mark.parametrize("mode", ["--once", "--dry-run"])
def test_a_malformed_configuration_is_its_lines_and_no_traceback(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("api_sources:\n  - name: one\n    colour: red\n")
    done = run("-c", str(path), mode, cwd=tmp_path)
    assert done.returncode == 2
    assert f"{path}:3" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreadable_registry_stops_it_in_words(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "api_sources:\n  - name: one\n    endpoint: http://127.0.0.1:9/events\n    polling_frequency_ms: 30000\n"
        "    timestamp_field: time\n    destination: {type: http, endpoint: 'http://127.0.0.1:9/siem'}\n"
    )
    registry = tmp_path / "registry.json"
    registry.write_text("{ torn")
    done = run("-c", str(path), "--once", "--track", "--registry-file", str(registry), cwd=tmp_path)
    assert done.returncode == 1
    assert "registry.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert registry.read_text() == "{ torn"


@pytest.mark.parametrize("fault", ["bogus", "429:many"])
def test_a_fault_that_cannot_be_simulated_is_refused(fault: str) -> None:
    done = invoke("simulate", "okta", "--fault", fault)
    assert done.exit_code == 2
    assert "Invalid value for '--fault'" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.timeout(300)
def test_what_lies_in_the_working_directory_is_never_imported(tmp_path: Path) -> None:
    """The command becomes its supervisor by `python -m`, which would look there first. SIGTERM then ends it clean."""
    (tmp_path / "config.yaml").write_text(
        "api_sources:\n  - name: one\n    endpoint: http://127.0.0.1:9/events\n    polling_frequency_ms: 30000\n"
        "    timestamp_field: time\n    destination: {type: http, endpoint: 'http://127.0.0.1:9/siem'}\n"
    )
    (tmp_path / "logging.py").write_text("raise SystemExit('a file of the working directory was imported')\n")
    flicker = str(Path(sys.executable).with_name("flicker"))
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(
            [flicker, "-c", "config.yaml", "--track", "--no-ui", "--work-dir", "work"],
            cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            deadline_s = time.monotonic() + 120
            while not (tmp_path / "work" / "dagster" / "workspace.yaml").exists():
                said = (tmp_path / "log").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline_s, said
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()
    assert "was imported" not in (tmp_path / "log").read_text()
