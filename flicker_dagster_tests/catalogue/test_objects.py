"""Objects that are listed and fetched: what a look costs, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.groups import Limits
from flicker_dagster.pipeline.deliver import deliver_window
from flicker_dagster.pipeline.fetch import fetch_window
from flicker_dagster.pipeline.probe import ProbeResult, probe
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.windows import window_of_key
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.state.fetched_objects import FILE, FetchedObjects
from flicker_dagster.types import Remembered, Window
from flicker_dagster_tests.catalogue.scenes import CatalogueScene, Killed, killed_after_page, scene_of


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[CatalogueScene]:
    siem = Receiver()
    with scene_of(tmp_path, siem, "microsoft_365", "audit_general") as scene:
        yield scene
    siem.close()


def look(scene: CatalogueScene) -> ProbeResult:
    with scene.work() as work:
        assert scene.cursor is not None
        return probe(work, scene.cursor)


def test_a_look_finds_a_new_object_and_fetches_none(scene: CatalogueScene) -> None:
    scene.begin()
    assert not look(scene).found
    scene.emit(5)
    scene.clock.wait(120)
    fetched = sum(scene.vendor.fetched.values())
    assert look(scene).found
    assert sum(scene.vendor.fetched.values()) == fetched
    scene.drain()
    scene.assert_each_once()
    assert not look(scene).found


def test_a_lost_memory_costs_a_fetch_and_no_event(scene: CatalogueScene) -> None:
    scene.begin()
    scene.emit(5)
    scene.drain()
    with scene.work() as work:
        (work.spool.directory / FILE).unlink()
    scene.clock.wait(60)
    scene.drain()
    scene.assert_each_once()


def test_another_machine_fetches_again_and_sends_nothing_twice(scene: CatalogueScene) -> None:
    scene.begin()
    scene.emit(5)
    scene.drain()
    scene.work_dir = scene.directory / "another machine"
    scene.emit(3)
    scene.drain()
    scene.work_dir = scene.directory / "work"
    scene.emit(2)
    scene.drain()
    scene.assert_each_once()


def test_what_is_remembered_outlives_a_torn_line_and_not_another_shape(tmp_path: Path) -> None:
    objects = FetchedObjects(tmp_path, "shape", keep_since_ms=0)
    for number in range(3):
        objects.add(bytes([number] * 16), 1_000 + number, Remembered(number, "ff"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"0303 1003")
    again = FetchedObjects(tmp_path, "shape", keep_since_ms=1_001)
    assert again.get(bytes([0] * 16)) is None, "older than what is kept"
    assert again.get(bytes([2] * 16)) == Remembered(2, "ff")
    again.add(bytes([9] * 16), 2_000, Remembered(7, "1"))
    assert FetchedObjects(tmp_path, "shape", keep_since_ms=0).get(bytes([9] * 16)) == Remembered(7, "1")
    assert FetchedObjects(tmp_path, "other", keep_since_ms=0).get(bytes([2] * 16)) is None


def many(scene: CatalogueScene) -> None:
    """Events in several objects of one page."""
    for number in range(6):
        scene.emit(2, visible_in_s=70 * number)


def read_window(scene: CatalogueScene, window: Window, *, kill_after: int = 0, **how: Any) -> Tally:
    """A window's counts, of a reading that was perhaps killed and taken up again."""
    key = window_of_key(scene.source.grid, window.key)
    if kill_after:
        with scene.work() as work, work.exclusive(), killed_after_page(kill_after), suppress(Killed):
            fetch_window(work, key, fresh=True, **how)
    for _ in range(50):
        with scene.work() as work, work.exclusive():
            report = fetch_window(work, key, fresh=True, **how)
        if report.complete:
            with scene.work() as work, work.exclusive():
                deliver_window(work, window)
            return report.tally
    raise AssertionError(f"the window is never read to its end: {report.stopped}")


@pytest.mark.parametrize("collected", [True, False])
@pytest.mark.parametrize("kill_after", range(1, 8))
def test_a_window_that_is_taken_up_again_counts_each_object_once(
    scene: CatalogueScene, kill_after: int, collected: bool
) -> None:
    scene.begin()
    began_ms = scene.clock.now_ms
    many(scene)
    if collected:
        scene.drain()
    scene.clock.wait(4 * 3600)
    window = scene.window_of(began_ms)
    taken_up = read_window(scene, window, kill_after=kill_after)
    whole = read_window(scene, window)
    assert (taken_up.seen, taken_up.ids_sum, taken_up.outside) == (whole.seen, whole.ids_sum, whole.outside)
    assert taken_up.seen == taken_up.new + taken_up.known + taken_up.filtered
    assert collected or taken_up.new == taken_up.seen > 0
    scene.drain()
    scene.assert_each_once()


@pytest.mark.parametrize("how", [{}, {"backfill": True}])
def test_a_page_of_more_objects_than_a_run_reads_is_read_to_its_end(scene: CatalogueScene, how: Any) -> None:
    scene.begin()
    began_ms = scene.clock.now_ms
    many(scene)
    scene.source = scene.source.model_copy(update={"limits": Limits(run_pages=2)})
    scene.clock.wait(4 * 3600)
    assert read_window(scene, scene.window_of(began_ms), **how).seen > 0
    scene.drain()
    scene.assert_each_once()


def test_a_poll_reads_a_page_of_more_objects_than_a_run_reads(scene: CatalogueScene) -> None:
    scene.begin()
    many(scene)
    scene.source = scene.source.model_copy(update={"limits": Limits(run_pages=2)})
    scene.drain()
    scene.assert_each_once()
