"""The sweep's schedule as Dagster evaluates it: what a tick returns has to pass Dagster's own checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import msgspec
import pytest

from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.verified import due_windows
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.orchestration.built import definitions_of, settings_of

pytestmark = pytest.mark.timeout(120)


def _tick(scene: Scene, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    repository = definitions_of(scene.source, settings_of(scene)).get_repository_def()
    context = dg.build_schedule_context(instance=instance, repository_def=repository)
    schedule = repository.get_schedule_def(names.schedule_name(scene.source.full_name))
    return list(schedule.evaluate_tick(context).run_requests or [])


@pytest.mark.parametrize("hours", [4, 12])
def test_windows_that_fell_due_together_are_asked_for_in_one_tick(tmp_path: Path, hours: int) -> None:
    with (
        plain_scene(tmp_path, start_from=f"{hours}h") as scene,
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
    ):
        scene.poll()
        due = [window.key for window in due_windows(instance, scene.work())]
        asked = _tick(scene, instance)
        again = _tick(scene, instance)
    assert len(due) >= 2, "only one window is due: this test proves nothing"
    assert [request.partition_key for request in asked] == due[: scene.source.sweep.max_windows_per_tick]
    # A daemon that died halfway through a tick evaluates it again; the same keys let it find the runs it had started.
    assert [request.run_key for request in again] == [request.run_key for request in asked]
    assert len({request.run_key for request in asked}) == len(asked)


def test_a_vendor_whose_clock_is_ahead_is_swept_as_far_as_dagsters_grid_goes(tmp_path: Path) -> None:
    with (
        plain_scene(tmp_path, start_from="4h") as scene,
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
    ):
        scene.poll()
        with scene.work() as work, work.spool.lock():
            state = work.live.state
            assert state is not None
            work.live.append([], msgspec.structs.replace(state, skew_ms=HOUR_MS))
        asked = [request.partition_key for request in _tick(scene, instance)]
    settled_ms = scene.clock.now_ms - scene.source.sweep.settle_ms
    assert asked
    assert asked[0] == scene.key_of(settled_ms - HOUR_MS)
