"""`live: false`: the schedule alone collects each window once it has closed, from `start_from` on."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.orchestration.schedule import tick
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster_tests.conformance.harness import Clock, plain_scene
from flicker_dagster_tests.orchestration.test_complete_check import complete
from flicker_dagster_tests.orchestration.test_late_events import Sweeper


@pytest.mark.parametrize(("start_from", "hours"), [("now", 1), ("3h", 4)])
def test_every_window_is_collected_once_it_has_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_from: str, hours: int
) -> None:
    clock = Clock()
    clock.now_s = (clock.now_ms // HOUR_MS - 5) * 3600.0 + 1_800
    with (
        plain_scene(tmp_path, clock=clock, live=False, start_from=start_from) as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        sweeper = Sweeper(scene, instance, monkeypatch)
        begun_ms = clock.now_ms
        tick(instance, scene.work())
        for hours_ago in range(hours):
            scene.emit(2, seconds_ago=hours_ago * 3600)
        clock.now_s += 3_600
        found = tick(instance, scene.work())
        assert isinstance(found, list), found
        keys = [request.partition_key for request in found]
        assert keys == [scene.key_of(begun_ms - hours_ago * HOUR_MS) for hours_ago in range(hours)]
        sweeper.run()
        scene.assert_each_once()
        with scene.work() as work:
            assert work.registry.position("plain") is None  # without a tail there is no position

        clock.now_s += 3_600
        scene.emit(3, seconds_ago=3_500)
        sweeper.run()
        scene.assert_each_once()
        passed, words = complete(sweeper)
        assert passed, words  # nothing is late where nothing was to be live
        assert words.endswith("all delivered")
