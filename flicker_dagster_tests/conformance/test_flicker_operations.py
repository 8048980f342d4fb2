"""Running it: what the original skips in silence, and what helr's one clock and missing pages cost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from flicker_dagster import orchestration
from flicker_dagster.config.destinations import records
from flicker_dagster.config.load import load_config
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.metadata import live_metadata, window_metadata
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.simulator.world import World
from flicker_dagster.state.layout import StateLayout
from flicker_dagster_tests.cli.scene import Scene as Command
from flicker_dagster_tests.cli.scene import vendor_tokens
from flicker_dagster_tests.config.builders import SOURCE, entry, faults
from flicker_dagster_tests.conformance.harness import plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.state.conftest import bucket, s3_endpoint, s3_env

__all__ = ["bucket", "s3_endpoint", "s3_env"]  # fixtures

rows("flicker", {43: "a source that cannot be built is skipped, the exit code is 0, and nobody is told"})
rows(
    "helr",
    {
        3: "one clock for all: each tick polls every source, and waits for the slowest",
        11: "no object storage for state or output, and no output in a SIEM's own protocol",
        13: "no backfill, no windows, no history, no completeness check",
        16: "no figure for freshness or lag",
    },
)


@row("flicker-43", behaviour="its own error, its own failed run, exit code 1; the other sources are collected")
def test_a_broken_source_is_told_and_breaks_no_other(tmp_path: Path) -> None:
    with World(vendors=("okta", "github", "salesforce"), history_s=600, tokens=vendor_tokens()) as world:
        command = Command(tmp_path, world)
        command.edit("okta-audit-logs", tls={"cert_path": "/nowhere/cert.pem", "key_path": "/nowhere/key.pem"})
        done = command.run("--once", "--track")
        assert done.returncode == 1
        assert "okta-audit-logs" in done.stderr
        assert "/nowhere/cert.pem" in done.stderr or "tls" in done.stderr
        rows_by_source = {each.source: each for each in world.compare()}
        assert rows_by_source["okta"].in_siem == 0
        assert rows_by_source["github"].missing == rows_by_source["salesforce"].missing == 0


@row("helr-3", behaviour="a sensor per source at its own interval, in threads")
def test_every_source_has_its_own_clock(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SOURCE + entry("two").replace("30000", "300000"))
    definitions = build_definitions(load_config(str(config)), Settings(str(config)))
    sensors = {sensor.name: sensor.minimum_interval_seconds for sensor in definitions.sensors or []}
    assert sensors == {"one_live": 30, "two_live": 300}
    packaged = Path(orchestration.__file__).parent / "dagster.yaml"
    assert yaml.safe_load(packaged.read_text())["sensors"]["use_threads"] is True


@row(
    "helr-11",
    behaviour="registry, ledger and dead letters live in S3 too; events go there as objects, or by a SIEM's own protocol",
)
def test_state_can_live_in_object_storage(tmp_path: Path) -> None:
    layout = StateLayout.of("s3://company-logs/flicker-registry.json", "ignored", str(tmp_path))
    assert layout.registry().where == "s3://company-logs/flicker-registry.json"
    assert layout.store.describe("ledger/x") == "s3://company-logs/flicker-registry/ledger/x"
    assert {"s3", "splunk_hec", "elasticsearch", "syslog", "sentinel"} <= records().keys()
    assert "s3, " in faults(tmp_path, SOURCE.replace("type: http", "type: floppy"))[0], "others are refused by name"


@row(
    "helr-13",
    "helr-16",
    behaviour="windows are partitions: any hour is read again, healed and certified; lag is plotted run by run",
)
def test_a_past_hour_is_read_again_and_the_lag_is_a_number(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="now") as scene:
        scene.poll()
        window = window_at(scene.source.window, scene.clock.now_ms - 2 * HOUR_MS)
        for number in range(20):
            scene.vendor.emitter.emit(1, at_ms=window.start_ms + number)
        swept = window_metadata(scene.sweep(window.key))
        assert swept["events delivered"].value == 20
        assert swept["dagster/partition_row_count"].value == 20
        scene.emit(2, seconds_ago=30)
        live = live_metadata(scene.poll(), now_ms=int(time.time() * 1000))
        assert live["collection lag s"].value == pytest.approx(30, abs=20)
        scene.assert_each_once()


@row(
    "helr-11",
    behaviour="state may be objects of S3, each written on the condition that it is the one read",
)
def test_events_arrive_once_with_all_state_in_object_storage(tmp_path: Path, bucket: str) -> None:
    with plain_scene(tmp_path) as scene:
        scene.state = f"s3://{bucket}/flicker"
        scene.emit(15, seconds_ago=30)
        scene.poll()
        other = scene.layout.registry()
        assert other.position("another") is None
        scene.cursor = None  # another machine: no spool, no cursor, the bucket alone
        scene.directory = tmp_path / "elsewhere"
        scene.emit(5)
        report = scene.poll()
        other.commit("another", report.end, seen=None)
        registry = scene.layout.registry()
        assert (registry.position("plain"), registry.position("another")) == (report.end, report.end)
        scene.assert_each_once()
