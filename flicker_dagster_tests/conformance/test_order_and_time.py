"""Order, ties and times: the rows about events that arrive and are still lost."""

from __future__ import annotations

from pathlib import Path

from flicker_dagster.simulator.plain import Shape
from flicker_dagster_tests.conformance.harness import plain_scene
from flicker_dagster_tests.conformance.rows import row, rows

rows(
    "flicker",
    {
        1: "the position moves while a page is read, so a newest-first page loses all but its first event",
        2: "events of the same second as the last one are dropped as not newer",
        3: "an event indexed two minutes late is never read",
    },
)


@row("flicker-1", behaviour="compares with the position at the start of the walk and advances once, at its end")
def test_a_newest_first_page_arrives_whole(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(newest_first=True)) as scene:
        scene.emit(25)
        scene.poll()
        scene.emit(5)
        scene.poll()
        scene.assert_each_once()


@row("flicker-2", behaviour="asks inclusively and recognises what it has by its id")
def test_equal_times_all_arrive(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        at_ms = scene.clock.now_ms - 1_000
        scene.vendor.emitter.emit(10, at_ms=at_ms)
        scene.poll()
        scene.vendor.emitter.emit(10, at_ms=at_ms)
        scene.poll()
        scene.assert_each_once()


@row("flicker-3", behaviour="reads an overlap again at each poll, and sweeps find what comes later still")
def test_an_event_indexed_late_is_delivered_once(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3, seconds_ago=60)
        scene.emit(1, seconds_ago=90, visible_in_s=30)
        scene.poll()
        scene.clock.now_s += 31
        report = scene.poll()
        assert report.tally.late == 1
        scene.assert_each_once()
