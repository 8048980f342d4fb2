"""The disk is full, at every write of a poll and of a sweep: a clear error, nothing lost, nothing twice, then on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flicker_dagster.errors import DestinationUnavailable, StateError
from flicker_dagster.simulator.plain import Shape
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.outages.full_disk import Disk, small_disk

HOUR_MS = 3_600_000

#: More writes than any poll or sweep here makes.
MOST_WRITES = 200


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def everything_arrived(scene: Scene) -> bool:
    return {event.id for event in scene.vendor.emitter.emitted()} == scene.received().keys()


def try_on_a_full_disk(scene: Scene, work: Callable[[], object]) -> None:
    """The position may only have moved if everything is in the SIEM."""
    with scene.work() as before:
        stood = before.registry.position("plain")
    with pytest.raises(StateError, match=r"the disk is full|No space left on device"):
        work()
    with scene.work() as after:
        assert after.registry.position("plain") == stood or everything_arrived(scene)


def until_it_never_fills(scene: Scene, disk: Disk, emit: Callable[[], object], work: Callable[[], object]) -> int:
    """Fill the disk at the first write, the second … until the work is done before. Gives how many there were."""
    for passes in range(MOST_WRITES):
        emit()
        disk.full_after(passes)
        try:
            work()
        except StateError:
            assert disk.refused
        if not disk.refused:
            return passes
        if not everything_arrived(scene):
            try_on_a_full_disk(scene, work)  # the run's own retry finds it no better
        disk.free()
        work()
        scene.assert_each_once()
        scene.clock.now_s += 5
    raise AssertionError("more writes than expected")


def test_a_disk_full_at_any_write_of_a_live_poll_loses_and_repeats_nothing(tmp_path: Path, disk: Disk) -> None:
    with plain_scene(tmp_path, buffer_size=7, destination={"max_in_flight": 1}) as scene:
        writes = until_it_never_fills(scene, disk, lambda: scene.emit(15), scene.poll)
        assert writes > 10
        scene.assert_each_once()


def test_a_disk_full_at_any_write_of_a_sweep_loses_and_repeats_nothing(tmp_path: Path, disk: Disk) -> None:
    with plain_scene(
        tmp_path, shape=Shape(page_size=1000), buffer_size=7, destination={"max_in_flight": 1}, start_from="now"
    ) as scene:
        scene.poll()
        hour_ms = scene.clock.now_ms // HOUR_MS * HOUR_MS - HOUR_MS
        writes = until_it_never_fills(
            scene,
            disk,
            lambda: scene.vendor.emitter.emit(9, at_ms=hour_ms + 60_000),
            lambda: scene.sweep(scene.key_of(hour_ms)),
        )
        assert writes > 10
        scene.assert_each_once()


def test_a_disk_full_before_anything_was_fetched_fails_the_fetch_and_not_silently(tmp_path: Path, disk: Disk) -> None:
    with plain_scene(tmp_path) as scene:
        scene.poll()
        scene.emit(5)
        with scene.work() as work, work.spool.lock():
            disk.full_after(0)
        with pytest.raises(StateError, match=r"the disk is full; free some space"):
            scene.fetch()
        disk.free()
        scene.poll()
        scene.assert_each_once()


def test_a_disk_that_fills_up_while_the_siem_is_down_takes_up_its_work_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    with small_disk(small, monkeypatch) as (fill, free), plain_scene(small, shape=Shape(page_size=1000)) as scene:
        scene.poll()
        scene.siem.faults.plan("503", count=None)
        scene.emit(50)
        scene.fetch()
        with pytest.raises(DestinationUnavailable):
            scene.deliver()
        fill()
        scene.emit(500)
        assert "the disk is full; free some space" in (scene.fetch().stopped or "")
        scene.siem.faults.clear()
        with pytest.raises(StateError, match="the disk is full"):
            scene.deliver()
        assert set(scene.received()) < {event.id for event in scene.vendor.emitter.emitted()}
        free()
        scene.poll()
        scene.assert_each_once()
