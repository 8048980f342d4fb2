"""A vendor that asks for a long pause at the very first request stops the fetch, not the delivery after it."""

from __future__ import annotations

from pathlib import Path

from flicker_dagster.simulator.plain import Shape
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.conformance.harness import plain_scene


def test_the_first_look_of_all(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3)
        scene.vendor.faults.plan("429", retry_after="300")
        report = scene.poll()
        assert not report.complete
        assert report.start == report.end
        scene.clock.now_s += 300
        assert scene.poll().complete
        scene.assert_each_once()


def test_the_first_look_after_a_rewind(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3)
        scene.poll()
        rewound = scene.cursor = Position(rfc3339_ms(scene.clock.now_ms - 1_800_000), None)
        scene.vendor.faults.plan("429", retry_after="300")
        report = scene.poll()
        assert report.start == rewound  # so that the sensor takes it for the outcome of what it asked
        assert not report.complete
        scene.clock.now_s += 300
        assert scene.poll().complete
        scene.assert_each_once()


def test_a_position_in_the_future_with_a_cursor_of_another_host_goes_on_all_the_same(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(paging="link")) as scene:
        scene.poll()
        ahead = rfc3339_ms(scene.clock.now_ms + 3_600_000)
        scene.cursor = Position(ahead, "http://elsewhere.invalid/events?cursor=after-1")
        scene.emit(3, seconds_ago=1)
        report = scene.poll()
        assert report.tally.cursor_resets == 1
        reached_ms = parse_time_ms(report.end.last_timestamp)
        assert reached_ms is not None
        assert reached_ms < scene.clock.now_ms + 1_000  # a Date header is cut to the second
        scene.emit(2, seconds_ago=0.5)
        scene.poll()
        scene.assert_each_once()
