"""A vendor that reveals a fifth of its events an hour late and some a day late ends complete, and its lateness shows."""

from __future__ import annotations

import random
import time
from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.config.groups import SweepConfig
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import due_windows, gaps
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster.simulator.plain import Shape
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.orchestration.built import job_of

pytestmark = pytest.mark.timeout(300)

HOURS = 28
EVENTS_PER_HOUR = 40
MINUTE_MS = 60_000


class Sweeper:
    """Runs the sweeps that are due, as the schedule would, against the scene's clock."""

    def __init__(self, scene: Scene, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene, self.instance = scene, instance
        self.job = job_of(scene)
        monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())

    def run(self) -> list[str]:
        due = due_windows(self.instance, self.scene.work())
        for window in due:
            assert self.job.execute_in_process(instance=self.instance, partition_key=window.key).success
        return [window.key for window in due]

    def latest(self, key: str) -> dict[str, object]:
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("plain"), asset_partitions=[key]), limit=1
        ).records
        materialization = records[0].asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}


def test_late_events_are_found_by_sweeps_and_revisits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    clock.now_s -= (HOURS + 3) * 3600
    sweep = SweepConfig(settle_ms=10 * MINUTE_MS, revisit_ms=[75 * MINUTE_MS, 25 * HOUR_MS])
    chance = random.Random(7)
    with (
        plain_scene(
            tmp_path, shape=Shape(newest_first=True, page_size=100), clock=clock, start_from="now", sweep=sweep
        ) as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        sweeper = Sweeper(scene, instance, monkeypatch)
        scene.poll()
        clock.now_s += 1
        looks = 0
        for step in range((HOURS + 2) * 4):  # a quarter of an hour each
            if step < 2 * 4:  # the late ones must have a day to turn up
                for number in range(EVENTS_PER_HOUR // 4):
                    share = chance.random()
                    late_s = 86_400 if share < 0.01 else 3_600 if share < 0.21 else 0
                    at_ms = clock.now_ms - number
                    scene.vendor.emitter.emit(1, at_ms=at_ms, visible_ms=at_ms + late_s * 1000)
            scene.poll()
            if step % 4 == 3:
                looks += len(sweeper.run())
            clock.now_s += 900
        scene.assert_each_once()
        assert gaps(instance, scene.work()) == []
        assert looks > HOURS  # windows were read again at their ages


def test_the_lateness_that_a_sweep_found_is_in_its_metadata_and_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.now_s -= 4 * 3600
    with (
        plain_scene(tmp_path, clock=clock, start_from="2h") as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        scene.poll()
        hour_ms = clock.now_ms // HOUR_MS * HOUR_MS
        clock.now_s = hour_ms / 1000 + 3600 + 60  # one minute into the next hour
        scene.poll()
        for number in range(10):
            at_ms = hour_ms + number * MINUTE_MS
            scene.vendor.emitter.emit(1, at_ms=at_ms, visible_ms=clock.now_ms - 1)
        clock.now_s += 3600
        sweeper = Sweeper(scene, instance, monkeypatch)
        key = time.strftime("%Y-%m-%d-%H:%M", time.gmtime(hour_ms / 1000))
        assert key in sweeper.run()
        shown = sweeper.latest(key)
        assert shown["events new"] == 10
        assert shown["dagster/partition_row_count"] == 10
        assert 3600 < float(str(shown["lateness p50 s"])) <= float(str(shown["lateness max s"])) < 3 * 3600
        checks = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("plain"), "complete"), limit=20
        )
        records = [check.event.dagster_event for check in checks if check.event is not None]
        said = [str(getattr(record and record.event_specific_data, "description", "")) for record in records]
        assert any("10 were missing and have now been delivered; lookback_ms:" in words for words in said)
        scene.assert_each_once()


def test_a_window_that_the_vendor_no_longer_keeps_is_a_gap_and_never_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.now_s -= 10 * 3600
    with (
        plain_scene(tmp_path, clock=clock, start_from="now", retention_ms=3 * HOUR_MS) as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        scene.poll()
        clock.now_s += 9 * 3600  # everything was down for so long
        sweeper = Sweeper(scene, instance, monkeypatch)
        report = scene.poll()
        assert report.tally.gap_ms > 5 * HOUR_MS
        swept = sweeper.run()
        lost = [window.key for window in gaps(instance, scene.work())]
        assert lost
        assert not set(lost) & set(swept)
        assert not set(lost) & instance.get_materialized_partitions(dg.AssetKey("plain"))
        refused = sweeper.job.execute_in_process(instance=instance, partition_key=lost[0], raise_on_error=False)
        assert not refused.success
        assert lost[0] not in instance.get_materialized_partitions(dg.AssetKey("plain"))
