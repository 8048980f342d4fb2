"""A vendor that asks for a long pause at the very first request stops the fetch, not the delivery after it."""

from __future__ import annotations

from pathlib import Path

from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.conformance.harness import plain_scene


def test_the_first_look_of_all(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3)
        scene.vendor.faults.plan("429", retry_after="300")
        report = scene.poll()
        assert not report.complete
        assert report.start == report.end
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
        assert scene.poll().complete
        scene.assert_each_once()
