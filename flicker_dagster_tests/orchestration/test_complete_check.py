"""The `complete` check speaks for a day of sweeps: a clean window evaluated later does not hide a late one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from flicker_dagster.orchestration import names
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.orchestration.test_late_events import Sweeper

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Collection began a while ago, at the full hour."""
    clock = Clock()
    clock.now_s = (clock.now_ms // HOUR_MS - 40) * 3600.0
    with plain_scene(tmp_path, clock=clock, start_from="now") as scene:
        scene.poll()
        yield scene


@pytest.fixture
def sweeper(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweeper]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Sweeper(scene, instance, monkeypatch)


def complete(sweeper: Sweeper) -> tuple[bool, str]:
    """Verdict and words of the last evaluation."""
    key = dg.AssetCheckKey(dg.AssetKey("plain"), names.CHECK_COMPLETE)
    record = sweeper.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    assert record.event is not None
    assert record.event.dagster_event is not None
    found = record.event.dagster_event.asset_check_evaluation_data
    return found.passed, found.description or ""


def shown(sweeper: Sweeper) -> AssetCheckExecutionRecordStatus | None:
    """The status on the asset's page: of the last evaluation, if it is of the latest materialisation."""
    key = dg.AssetCheckKey(dg.AssetKey("plain"), names.CHECK_COMPLETE)
    latest = sweeper.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    newest = sweeper.instance.get_latest_materialization_event(key.asset_key)
    assert newest is not None
    return latest.status if latest.run_id == newest.run_id else None


def hour(scene: Scene, *, live: int, late: int, late_s: int = 1_200) -> str:
    """An hour passes; of its events the `late` ones turn up `late_s` after the live poll. Gives the window's key."""
    start_ms = scene.clock.now_ms
    scene.clock.now_s += 3_000
    scene.emit(live)
    scene.poll()
    scene.clock.now_s += 600
    scene.poll()
    scene.emit(late, seconds_ago=late_s)
    return scene.key_of(start_ms)


def test_a_clean_window_swept_later_does_not_hide_a_late_one(scene: Scene, sweeper: Sweeper) -> None:
    older, newer = hour(scene, live=3, late=0), hour(scene, live=4, late=5)
    scene.clock.now_s += 900
    assert sweeper.run() == [newer, older]
    passed, words = complete(sweeper)
    assert not passed
    assert "2 windows" in words
    assert "12 events at the vendor, 5 were missing and have now been delivered; lookback_ms: 210" in words
    assert words.endswith(f"They were in {newer}")
    scene.assert_each_once()


def test_the_finding_goes_when_a_day_of_sweeps_found_nothing_late(scene: Scene, sweeper: Sweeper) -> None:
    late = hour(scene, live=1, late=2)
    for _ in range(23):
        hour(scene, live=1, late=0)
        scene.clock.now_s += 900
        sweeper.run()
        scene.clock.now_s -= 900
        passed, words = complete(sweeper)
        assert not passed
        assert late in words
    for _ in range(2):
        hour(scene, live=1, late=0)
        scene.clock.now_s += 900
        sweeper.run()
        scene.clock.now_s -= 900
    passed, words = complete(sweeper)
    assert passed, words
    assert "all delivered before the sweep" in words


def test_a_window_looked_at_twice_keeps_what_the_first_look_found(scene: Scene, sweeper: Sweeper) -> None:
    key = hour(scene, live=1, late=2)
    scene.clock.now_s += 900
    sweeper.run()
    assert sweeper.job.execute_in_process(instance=sweeper.instance, partition_key=key).success
    passed, words = complete(sweeper)
    assert not passed
    assert f"1 window ({key}) swept in a day" in words
    assert "3 events at the vendor, 2 were missing" in words


def test_a_window_shipped_again_by_order_was_not_missing(scene: Scene, sweeper: Sweeper) -> None:
    key = hour(scene, live=3, late=0)
    scene.clock.now_s += 900
    sweeper.run()
    again = sweeper.job.execute_in_process(
        instance=sweeper.instance, partition_key=key, tags={names.REDELIVER_TAG: "true"}
    )
    assert again.success
    assert set(scene.received().values()) == {2}
    passed, words = complete(sweeper)
    assert passed, words


def test_live_runs_leave_the_last_finding_in_sight(scene: Scene, sweeper: Sweeper) -> None:
    late = hour(scene, live=1, late=2)
    scene.clock.now_s += 900
    sweeper.run()
    scene.emit(3)
    assert sweeper.job.execute_in_process(instance=sweeper.instance).success
    passed, words = complete(sweeper)
    assert not passed
    assert words.endswith(f"They were in {late}")
    assert shown(sweeper) is AssetCheckExecutionRecordStatus.FAILED


def test_a_backfill_of_older_windows_leaves_it_in_sight_too(scene: Scene, sweeper: Sweeper) -> None:
    late = hour(scene, live=1, late=2)
    scene.clock.now_s += 900
    sweeper.run()
    older = scene.key_of(scene.clock.now_ms - 6 * HOUR_MS)
    assert sweeper.job.execute_in_process(instance=sweeper.instance, partition_key=older).success
    assert shown(sweeper) is AssetCheckExecutionRecordStatus.FAILED
    assert late in complete(sweeper)[1]


def test_a_live_run_says_so_where_nothing_has_been_swept_yet(scene: Scene, sweeper: Sweeper) -> None:
    scene.emit(3)
    assert sweeper.job.execute_in_process(instance=sweeper.instance).success
    passed, words = complete(sweeper)
    assert not passed, "what is not known is not green"
    assert words == "not known yet: no window has been swept yet"


def test_a_backfill_speaks_for_its_windows_and_not_for_live_collection(scene: Scene, sweeper: Sweeper) -> None:
    older = scene.key_of(scene.clock.now_ms - 6 * HOUR_MS)
    assert sweeper.job.execute_in_process(instance=sweeper.instance, partition_key=older).success
    passed, words = complete(sweeper)
    assert passed
    assert words == f"1 window ({older}) backfilled: all delivered. No window since then was swept yet"
    scene.emit(3)
    assert sweeper.job.execute_in_process(instance=sweeper.instance).success
    assert complete(sweeper) == (False, "not known yet: no window has been swept yet")


def test_a_failed_run_is_not_taken_for_the_last_finding(scene: Scene, sweeper: Sweeper) -> None:
    late = hour(scene, live=1, late=2)
    scene.clock.now_s += 900
    sweeper.run()
    scene.emit(1)
    scene.siem.faults.plan("401", count=None)
    assert not sweeper.job.execute_in_process(instance=sweeper.instance, raise_on_error=False).success
    scene.siem.faults.clear()
    assert sweeper.job.execute_in_process(instance=sweeper.instance).success
    assert shown(sweeper) is AssetCheckExecutionRecordStatus.FAILED
    assert late in complete(sweeper)[1]
