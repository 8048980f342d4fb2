"""Windows that exceed a run's budget or are interrupted: read to their end all the same, each event once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import DestinationUnavailable, RateLimited, SpoolFull, VendorUnavailable
from flicker_dagster.pipeline.deliver import WindowReport, deliver_window
from flicker_dagster.pipeline.fetch import fetch_live
from flicker_dagster.pipeline.read_window import read_window
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.types import Window
from flicker_dagster_tests.conformance.harness import Scene, plain_scene


@pytest.fixture
def open_scene(tmp_path: Path) -> Iterator[Any]:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.poll()  # collection has begun; what follows turns up late
        yield scene


def _past_hour(scene: Scene, events: int) -> Window:
    window = window_at(scene.source.window, scene.clock.now_ms - 2 * HOUR_MS)
    for number in range(events):
        scene.vendor.emitter.emit(1, at_ms=window.start_ms + number * 1000)
    return window


def _limited(scene: Scene, **limits: Any) -> None:
    scene.source = scene.source.model_copy(update={"limits": Limits(**limits)})


def _sweep(scene: Scene, window: Window) -> WindowReport:
    with scene.work() as work, work.spool.lock():
        read_window(work, window, fresh=True)
        return deliver_window(work, window)


@pytest.mark.parametrize("limits", [{"run_pages": 2}, {"run_events": 15}, {"spool_bytes": 3_000}])
def test_a_window_larger_than_a_runs_budget_is_read_to_its_end(open_scene: Scene, limits: dict[str, int]) -> None:
    window = _past_hour(open_scene, 95)
    _limited(open_scene, **limits)
    report = _sweep(open_scene, window)
    open_scene.assert_each_once()
    assert (report.tally.seen, report.tally.new, report.drained.delivered) == (95, 95, 95)


def test_a_window_that_was_interrupted_goes_on_at_its_page_in_the_next_run(open_scene: Scene) -> None:
    window = _past_hour(open_scene, 95)
    open_scene.vendor.faults.plan("500", after=6, count=None)
    with pytest.raises(VendorUnavailable):
        _sweep(open_scene, window)
    open_scene.vendor.faults.clear()
    before = open_scene.vendor.requests
    began_ms = open_scene.clock.now_ms
    open_scene.clock.now_s += 600
    report = _sweep(open_scene, window)
    assert open_scene.vendor.requests - before <= 5, "pages that were read are not read again"
    assert report.tally.seen == 95
    assert report.began_ms == pytest.approx(began_ms, abs=5_000), "it is certified as of when its reading began"
    open_scene.assert_each_once()


def test_a_walk_left_long_ago_is_begun_again(open_scene: Scene) -> None:
    window = _past_hour(open_scene, 95)
    open_scene.vendor.faults.plan("500", after=6, count=None)
    with pytest.raises(VendorUnavailable):
        _sweep(open_scene, window)
    open_scene.vendor.faults.clear()
    open_scene.clock.now_s += 7 * 3600
    report = _sweep(open_scene, window)
    assert report.tally.seen == 95
    assert report.began_ms == open_scene.clock.now_ms
    open_scene.assert_each_once()


def test_a_rate_limit_inside_a_window_ends_the_run_and_not_the_walk(open_scene: Scene) -> None:
    window = _past_hour(open_scene, 95)
    open_scene.vendor.faults.plan("429", after=6, retry_after="600")
    with pytest.raises(RateLimited) as limited:
        _sweep(open_scene, window)
    assert limited.value.retry_after_s == 600
    open_scene.clock.now_s += 600
    assert _sweep(open_scene, window).tally.seen == 95
    open_scene.assert_each_once()


def test_an_oversize_window_waits_where_the_siem_is_down(open_scene: Scene) -> None:
    window = _past_hour(open_scene, 95)
    _limited(open_scene, run_events=15)
    open_scene.siem.faults.plan("503", count=None)
    with pytest.raises(DestinationUnavailable):
        _sweep(open_scene, window)
    open_scene.siem.faults.clear()
    assert _sweep(open_scene, window).drained.delivered == 95
    open_scene.assert_each_once()


def test_live_collection_that_fills_the_spool_leaves_a_window_no_room_and_says_so(open_scene: Scene) -> None:
    window = _past_hour(open_scene, 5)
    open_scene.emit(60, seconds_ago=30)
    _limited(open_scene, spool_bytes=2_000)
    with open_scene.work() as work, work.spool.lock():
        assert open_scene.cursor is not None
        fetch_live(work, open_scene.cursor)
    with pytest.raises(SpoolFull, match="no room"):
        _sweep(open_scene, window)
    open_scene.poll()
    while open_scene.poll().tally.new:
        pass
    _sweep(open_scene, window)
    open_scene.assert_each_once()


def test_a_live_poll_hands_over_at_its_most_events_and_the_next_goes_on(open_scene: Scene) -> None:
    open_scene.emit(60, seconds_ago=30)
    _limited(open_scene, run_events=15)
    report = open_scene.poll()
    assert not report.complete
    assert 15 <= report.tally.new < 30
    while not open_scene.poll().complete:
        pass
    open_scene.assert_each_once()
