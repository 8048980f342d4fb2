"""A newcomer's six vendors in one file: it is short, it loads, and beside simulated accounts everything arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from flicker_dagster.cli.demo_vendors import DemoVendors
from flicker_dagster.cli.main import cli
from flicker_dagster.config.load import load_config
from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.dialects import dialect_names
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.deploy.builders import ROOT

SIX = "okta,google_workspace,microsoft_365,slack,onepassword,zoom"
WRITTEN = ROOT / "docs" / "six-vendors.yaml"
MOST_LINES = 60
STREAMS = {"okta": 1, "google-workspace": 7, "microsoft-365": 4, "slack": 1, "onepassword": 3, "zoom": 2}


class Demo:
    """What `flicker demo --vendor …` sets up, without its processes."""

    def __init__(self, home: Path, vendors: str) -> None:
        self.chosen = DemoVendors([vendors])
        self.world = World(history_s=1_800, names=self.chosen.names, **self.chosen.world())
        self.home, self.text = home, self.chosen.config(self.world, home)
        self.path = home / "config.yaml"
        self.path.write_text(self.text)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.chosen.environment, "SIEM_ENDPOINT": self.world.siem.url, "COLUMNS": "250"}

    def once(self) -> str:
        command = ["-c", str(self.path), "--work-dir", str(self.home / "work"), "--once"]
        done = CliRunner().invoke(cli, command, env=self.environment)
        assert done.exit_code == 0, done.output
        return done.output


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path, SIX)
    with demo.world:
        yield demo


def test_all_six_arrive_stream_by_stream(six: Demo) -> None:
    six.once()
    rows = six.world.compare()
    assert len(rows) == sum(STREAMS.values())
    assert [(row.missing, row.twice, row.unknown) for row in rows] == [(0, 0, 0)] * len(rows)
    assert all(row.emitted for row in rows)
    emitted = {name: sum(row.emitted for row in rows if row.source == name) for name in six.world.vendors}
    assert set(emitted.values()) <= {84, 86, 88, 90}, "the rate is that of the account, however many its streams"


def test_the_file_is_short_and_holds_no_secret(six: Demo) -> None:
    assert len(six.text.splitlines()) <= MOST_LINES
    for secret in six.chosen.environment.values():
        assert secret not in six.text
    key = six.home / "google_workspace-google.json"
    assert "private_key" in key.read_text()
    assert key.stat().st_mode & 0o077 == 0


def sources_of(text: str) -> list[dict[str, Any]]:
    return yaml.safe_load(text)["api_sources"]


def test_the_written_example_is_the_same_but_for_what_is_the_demos(six: Demo) -> None:
    written = WRITTEN.read_text(encoding="utf-8")
    assert len(written.splitlines()) <= MOST_LINES
    assert yaml.safe_load(written)["destinations"] == yaml.safe_load(six.text)["destinations"]
    for ours, demos in zip(sources_of(written), sources_of(six.text), strict=True):
        assert demos.keys() - ours.keys() == {"connect_to", "polling_frequency_ms", "start_from"}
        assert ours["params"].keys() == demos["params"].keys()
        assert [ours[key] for key in ("name", "vendor", "destination")] == [
            demos[key] for key in ("name", "vendor", "destination")
        ]


def test_the_written_example_loads_into_an_asset_for_each_stream() -> None:
    config = load_config(str(WRITTEN))
    counts = {name: sum(source.source_name == name for source in config.sources) for name in STREAMS}
    assert counts == STREAMS
    keys = build_definitions(config, Settings(str(WRITTEN))).resolve_asset_graph().get_all_asset_keys()
    assert {
        dg.AssetKey("okta"),
        dg.AssetKey(["google_workspace", "login"]),
        dg.AssetKey(["zoom", "operation_logs"]),
    } <= keys
    assert len(keys) == len(config.sources)


@pytest.mark.parametrize("vendors", ["salesforce", "github,slack", "duo"])
def test_what_a_demo_writes_loads_for_others_as_well(tmp_path: Path, vendors: str) -> None:
    demo = Demo(tmp_path, vendors)
    with demo.world:
        demo.once()
        assert all(row.missing == row.in_flight and row.emitted for row in demo.world.compare())


def test_no_two_vendors_share_a_variable(tmp_path: Path) -> None:
    demo = Demo(tmp_path, ",".join(sorted(set(presets()) & set(dialect_names()))))
    with demo.world:
        assert load_config(str(demo.path)).sources
        names = [name for source in sources_of(demo.text) for name in source.get("params", {}).values()]
        variables = [name for name in names if str(name).startswith("${")]
        assert len(variables) == len(set(variables))


def test_a_vendor_that_is_none_is_one_line() -> None:
    with pytest.raises(FlickerError, match="did you mean zoom"):
        DemoVendors(["okta, zom"])
    assert DemoVendors(["okta, zoom", "okta"]).vendors == ("okta", "zoom")
