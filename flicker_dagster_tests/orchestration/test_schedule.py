"""The sweep's schedule: bounded, newest first, also after a long outage; and a range of windows in one launch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.config.groups import SweepConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.schedule import tick
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.orchestration.test_late_events import Sweeper

OUTAGE_HOURS = 200


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Collection began long ago, at the full hour; not a single window was swept since."""
    clock = Clock()
    clock.now_s = (clock.now_ms // HOUR_MS - OUTAGE_HOURS) * 3600.0
    with plain_scene(tmp_path, clock=clock, start_from="now") as scene:
        scene.emit(1, seconds_ago=0)
        scene.poll()
        clock.now_s += OUTAGE_HOURS * 3600 + 601
        yield scene


@pytest.fixture
def sweeper(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweeper]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Sweeper(scene, instance, monkeypatch)


def requests(sweeper: Sweeper) -> list[dg.RunRequest]:
    found = tick(sweeper.instance, sweeper.scene.work())
    assert isinstance(found, list), found
    return found


def skipped(sweeper: Sweeper) -> str:
    found = tick(sweeper.instance, sweeper.scene.work())
    assert isinstance(found, dg.SkipReason)
    return found.skip_message or ""


def sweeps(scene: Scene) -> dict[str, str]:
    return names.run_tags(scene.source.full_name, scene.work().state_id, names.SWEEP)


def keys_ago(scene: Scene, first: int, last: int) -> list[str]:
    return [scene.key_of(scene.clock.now_ms - hours * HOUR_MS) for hours in range(first, last + 1)]


def test_after_a_long_outage_a_tick_asks_for_few_windows_the_newest_first(scene: Scene, sweeper: Sweeper) -> None:
    found = requests(sweeper)
    assert [request.partition_key for request in found] == keys_ago(scene, 1, 6)
    assert found[0].tags == sweeps(scene) | {"dagster/priority": "1"}
    assert [request.run_key for request in found] == keys_ago(scene, 1, 6), "Dagster wants one for each of several"


def test_tick_by_tick_the_whole_outage_is_swept_each_window_once(scene: Scene, sweeper: Sweeper) -> None:
    scene.source = scene.source.model_copy(update={"sweep": SweepConfig(max_windows_per_tick=48)})
    swept: list[str] = []
    while len(swept) < OUTAGE_HOURS:
        keys = [str(request.partition_key) for request in requests(sweeper)]
        assert len(keys) <= 48
        swept += keys
        span = {"dagster/asset_partition_range_start": keys[-1], "dagster/asset_partition_range_end": keys[0]}
        assert sweeper.job.execute_in_process(instance=sweeper.instance, tags=sweeps(sweeper.scene) | span).success
    assert swept == keys_ago(scene, 1, OUTAGE_HOURS)
    assert skipped(sweeper) == "every settled window is verified"


def test_a_range_of_windows_is_one_run_and_each_window_is_verified(scene: Scene, sweeper: Sweeper) -> None:
    keys = keys_ago(scene, 3, 8)
    for hours in range(3, 9):
        scene.emit(2, seconds_ago=hours * 3600)
    span = {"dagster/asset_partition_range_start": keys[-1], "dagster/asset_partition_range_end": keys[0]}
    assert sweeper.job.execute_in_process(instance=sweeper.instance, tags=span).success
    assert sweeper.instance.get_runs_count() == 1
    assert sweeper.instance.get_materialized_partitions(dg.AssetKey("plain")) == set(keys)
    assert [sweeper.latest(key)["events new"] for key in keys] == [2] * 6
    scene.assert_each_once()


def test_an_open_or_unsettled_window_is_not_asked_for(scene: Scene, sweeper: Sweeper) -> None:
    scene.clock.now_s -= 2  # the last hour ended 599 s ago, and settles in 600
    assert requests(sweeper)[0].partition_key == scene.key_of(scene.clock.now_ms - 2 * HOUR_MS)


def test_nothing_is_asked_for_before_collection_has_begun(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene, dg.DagsterInstance.ephemeral() as instance:
        found = tick(instance, scene.work())
    assert isinstance(found, dg.SkipReason)


def test_a_sweep_in_flight_is_waited_for(sweeper: Sweeper) -> None:
    run = sweeper.instance.create_run_for_job(
        sweeper.job,
        status=dg.DagsterRunStatus.STARTED,
        tags=sweeps(sweeper.scene) | {names.PARTITION_TAG: "2026-01-01-00:00"},
    )
    assert skipped(sweeper) == f"run {run.run_id[:8]} sweeps 2026-01-01-00:00"


@pytest.mark.parametrize(("failures", "wait_s"), [(1, 300), (2, 600), (3, 900), (12, 900)])
def test_failed_sweeps_are_waited_out(sweeper: Sweeper, failures: int, wait_s: int) -> None:
    for _ in range(failures):
        sweeper.instance.create_run_for_job(
            sweeper.job,
            status=dg.DagsterRunStatus.FAILURE,
            tags=sweeps(sweeper.scene) | {names.ERROR_TAG: "plain: HTTP 403"},
        )
    ended_s = sweeper.instance.get_run_records(limit=1)[0].update_timestamp.timestamp()
    sweeper.scene.clock.now_s = ended_s + wait_s - 0.1
    assert skipped(sweeper) == f"waits after {failures} failed sweep(s): plain: HTTP 403"
    sweeper.scene.clock.now_s = ended_s + wait_s + 0.1
    assert requests(sweeper)


def test_a_pause_that_the_vendor_asked_for_is_kept(sweeper: Sweeper) -> None:
    resume_s = sweeper.scene.clock.now_s + 100
    sweeper.instance.create_run_for_job(
        sweeper.job,
        status=dg.DagsterRunStatus.FAILURE,
        tags=sweeps(sweeper.scene) | {names.RESUME_TAG: f"{resume_s:.3f}"},
    )
    assert skipped(sweeper) == "waits as it was asked to: the vendor asked for a pause"


def test_a_sweep_that_is_switched_off_says_so(sweeper: Sweeper) -> None:
    scene = sweeper.scene
    scene.source = scene.source.model_copy(update={"sweep": SweepConfig(enabled=False)})
    assert skipped(sweeper) == "sweep.enabled is false"
