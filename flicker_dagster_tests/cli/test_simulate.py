"""`flicker simulate` prints a whole configuration, and it works beside what is served, as it is printed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.cli.simulate import printed
from flicker_dagster.cli.simulated import checked, delay_s_of, streams_of_source, tokens_of
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.secrets import resolve
from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.dialects import dialect_names
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


def a_world(vendors: tuple[str, ...], token: str | None = None, **options: Any) -> World:
    """As the command makes it."""
    return World(
        vendors=vendors,
        streams={name: streams_of_source(name) for name in vendors},
        tokens=tokens_of(vendors, token),
        names={name: f"{name.replace('_', '-')}-simulated" for name in vendors},
        siem=Receiver(token=token or "test-token", by_source=True),
        **options,
    )


@pytest.mark.parametrize("token", ["test-token", "p${HOME}\"'\\#:{w}"])
def test_the_configuration_of_the_usual_vendors_delivers_everything_as_it_is_printed(
    tmp_path: Path, token: str
) -> None:
    with a_world(USUAL, token, history_s=1_800) as world:
        done = once(tmp_path, printed(world, token, history_hours=0.5))
        assert done.exit_code == 0, done.output
        assert all(row.emitted and row.missing == row.twice == row.unknown == 0 for row in world.compare())


@pytest.mark.parametrize("vendor", sorted(set(presets()) & set(dialect_names())))
def test_the_configuration_of_any_vendor_delivers_all_its_streams_as_it_is_printed(tmp_path: Path, vendor: str) -> None:
    delay_s = delay_s_of(vendor)
    with a_world((vendor,), history_s=1_800, delay_s={vendor: delay_s}) as world:
        done = once(tmp_path, printed(world, "test-token", history_hours=1))
        assert done.exit_code == 0, done.output
        rows = world.compare()
        assert [row.stream for row in rows] == list(streams_of_source(vendor) or [""])
        assert all(row.emitted and row.twice == row.unknown == 0 for row in rows), rows
        assert all(row.missing == (row.in_flight if delay_s else 0) for row in rows), rows


def test_what_the_command_prints_works_while_it_runs_and_it_ends_clean(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "simulate", "okta", "--history", "0.2", "--rate", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as simulator:
        try:
            assert simulator.stdout is not None
            lines = []
            while not lines or "destination: siem" not in lines[-1]:  # the last line
                lines.append(simulator.stdout.readline())
                assert lines[-1], "".join(lines)
            done = once(tmp_path, "".join(lines))
            assert done.exit_code == 0, done.output
            stats = next(line for line in lines if line.endswith("/_siem/stats\n")).strip("# \n")
            assert requests.get(stats, timeout=5).json()["/okta-simulated"]["unique"] == 36
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


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (("slak",), "no simulated vendor 'slak'; did you mean slack?"),
        (("okta", "siem"), "siem stands alone, expected it without other names"),
    ],
)
def test_a_name_that_is_none_is_one_line(what: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(cli, ["simulate", *what])
    assert done.exit_code in (1, 2)
    assert says in done.output


def test_a_vendor_without_a_preset_cannot_be_collected_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flicker_dagster.cli.simulated.presets", dict)
    with pytest.raises(FlickerError, match="slack has no preset"):
        checked(["slack"])
