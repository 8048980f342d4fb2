"""`flicker simulate` prints a whole configuration, and it works beside what is served, as it is printed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.secrets import resolve
from flicker_dagster.simulator.cli import printed
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.siems import SIEMS
from flicker_dagster.simulator.typed import Typed
from flicker_dagster.simulator.world import USUAL, World
from flicker_dagster_tests.cli.scene import PROGRAM


def once(folder: Path, text: str) -> Result:
    """What a newcomer does with the printed text: save it, run it."""
    path = folder / "simulated.yaml"
    path.write_text(text)
    return CliRunner().invoke(cli, ["-c", str(path), "--work-dir", str(folder / "work"), "--once"])


@pytest.mark.parametrize("token", ["test-token", "p${HOME}\"'\\#:{w}"])
def test_the_configuration_of_all_vendors_delivers_everything_as_it_is_printed(tmp_path: Path, token: str) -> None:
    with World(history_s=1_800, tokens=dict.fromkeys(USUAL, token), siem=Receiver(token=token)) as world:
        done = once(tmp_path, printed(world, token, history_hours=0.5))
        assert done.exit_code == 0, done.output
        assert all(row.emitted and row.missing == row.twice == row.unknown == 0 for row in world.compare())


def test_what_the_command_prints_works_while_it_runs_and_it_ends_clean(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "simulate", "okta", "--history", "0.2", "--rate", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as simulator:
        try:
            assert simulator.stdout is not None
            lines = []
            while not lines or "auth:" not in lines[-1]:  # the last line
                lines.append(simulator.stdout.readline())
                assert lines[-1], "".join(lines)
            done = once(tmp_path, "".join(lines))
            assert done.exit_code == 0, done.output
            stats = next(line for line in lines if line.endswith("/_siem/stats\n")).strip("# \n")
            assert requests.get(stats, timeout=5).json()["/okta"]["unique"] == 36
            simulator.send_signal(signal.SIGINT)
            assert simulator.wait(20) == 0
        finally:
            simulator.kill()


@pytest.mark.parametrize("kind", SIEMS)
@pytest.mark.parametrize("token", ["test-token", "p${HOME}-x"])
def test_the_configuration_of_a_destination_loads_and_keeps_its_credential(kind: str, token: str) -> None:
    with Typed(kind, token, vendors={}) as typed:
        text = typed.printed(["  - name: any", *AND_THE_REST])
        config = parse_config(text, path="simulated.yaml", env={})
        keys = config.destinations["siem"].model_dump()
        for name in filter(None, typed.siem.secret.split(".")):
            keys = keys[name]
        assert not typed.siem.secret or token in resolve(str(keys), env={})


AND_THE_REST = [
    "    endpoint: http://127.0.0.1:1/events",
    "    polling_frequency_ms: 5000",
    "    timestamp_field: time",
    "    destination: siem",
]


@pytest.mark.parametrize("kind", ["splunk_hec", "kafka", "syslog"])
def test_what_the_command_prints_for_a_destination_works_while_it_runs(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", PROGRAM, "simulate", "okta", "--siem", kind, "--history", "0.2", "--rate", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as simulator:
        try:
            assert simulator.stdout is not None
            lines = []
            while not lines or "destination: siem" not in lines[-1]:  # the last line
                lines.append(simulator.stdout.readline())
                assert lines[-1], "".join(lines)
            path = tmp_path / "simulated.yaml"
            path.write_text("".join(lines))
            tested = CliRunner().invoke(cli, ["-c", str(path), "test-destination", "siem"])
            assert tested.exit_code == 0, tested.output
            done = once(tmp_path, "".join(lines))
            assert done.exit_code == 0, done.output
            stats = next(line for line in lines if line.startswith("# What arrived: ")).split()[-1]
            assert requests.get(stats, timeout=5).json() == {"type": kind, "events": 37, "twice": 0}
            simulator.send_signal(signal.SIGINT)
            assert simulator.wait(20) == 0
        finally:
            simulator.kill()


def test_options_of_the_plain_siem_are_not_taken_beside_a_type(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["simulate", "okta", "--siem", "loki", "--journal", str(tmp_path / "x")])
    assert done.exit_code == 2
    assert "--journal" in done.output


def test_a_port_that_is_taken_is_one_line() -> None:
    with World(vendors=("okta",)) as world:
        port = world.vendor("okta").server.port
        done = CliRunner().invoke(cli, ["simulate", "okta", "--port", str(port)])
    assert done.exit_code == 1
    assert f"cannot serve on 127.0.0.1:{port}: Address already in use; choose another port" in done.output
