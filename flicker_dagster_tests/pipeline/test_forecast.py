"""Before windows are read it is said what that takes: by what was seen, at the share of the quota that is ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flicker_dagster.collect.account import AccountNotes, LastTold
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.pipeline.forecast import about, forecast, note_cost
from flicker_dagster.pipeline.read_window import read_window
from flicker_dagster.pipeline.windows import HOUR_MS, closed_windows, window_at
from flicker_dagster.state.walk_notes import WalkNotes, WindowCost
from flicker_dagster.types import Window
from flicker_dagster_tests.conformance.harness import Scene, plain_scene


@pytest.fixture
def open_scene(tmp_path: Path) -> Iterator[Scene]:
    with plain_scene(tmp_path) as scene:
        yield scene


def windows(scene: Scene, count: int) -> list[Window]:
    now_ms = scene.clock.now_ms
    return list(closed_windows(scene.source.window, now_ms - (count + 1) * HOUR_MS, now_ms))[:count]


def limited(scene: Scene, **rate_limit: Any) -> None:
    scene.source = scene.source.model_copy(update={"rate_limit": RateLimit(**rate_limit)})


def words(scene: Scene, count: int) -> str:
    with scene.work() as work:
        return forecast(work, windows(scene, count)).words


def knows(scene: Scene, *, requests: float, request_s: float = 0.1) -> None:
    """Earlier windows took so many requests."""
    with scene.work() as work:
        work.walk_notes.note(window=WindowCost(HOUR_MS, requests, request_s, 20))


def was_told(scene: Scene, limit: float, span_s: float) -> None:
    """The vendor told this quota."""
    notes = AccountNotes(told=LastTold(limit / 2, limit, None, span_s, scene.clock.now_ms))
    with scene.work() as work:
        work.layout.quota_book(scene.source.vendor_key).update(lambda _: msgspec.json.encode(notes))


def test_what_earlier_windows_took_at_half_of_what_was_told(open_scene: Scene) -> None:
    limited(open_scene, reserve=0.5)
    knows(open_scene, requests=51.67)
    was_told(open_scene, 120, 60)
    assert (
        words(open_scene, 24)
        == "1,240 requests, about 21 min at half the quota (as the last 20 windows that were read)"
    )


def test_the_tightest_of_what_is_told_and_declared_counts(open_scene: Scene) -> None:
    limited(open_scene, requests=1800, per_ms=86_400_000)
    knows(open_scene, requests=10)
    was_told(open_scene, 1000, 1)
    assert words(open_scene, 24).startswith("240 requests, about 5 h at 80 % of the quota")


def test_a_vendor_that_is_slower_than_its_quota(open_scene: Scene) -> None:
    knows(open_scene, requests=100, request_s=2)
    was_told(open_scene, 1000, 1)
    assert words(open_scene, 9).startswith("900 requests, about 30 min at 2 s each; 80 % of the quota would do for 1 s")


def test_what_is_not_known_is_said(open_scene: Scene) -> None:
    assert words(open_scene, 3) == (
        "3 requests, about 2 s; the vendor's quota is not known (at least: nothing is known yet of how many events a window "
        "holds; half a second for each is assumed)"
    )


def test_a_window_longer_than_a_slice_takes_a_request_for_each(open_scene: Scene) -> None:
    open_scene.source = open_scene.source.model_copy(update={"slice_ms": HOUR_MS // 4})
    assert words(open_scene, 3).startswith("12 requests")


def test_the_events_of_the_ledger_tell_how_many_pages_there_are(open_scene: Scene) -> None:
    open_scene.emit(95, seconds_ago=3_600)
    open_scene.poll()
    page_size = open_scene.source.pagination.page_size
    told = words(open_scene, 48)
    assert told.startswith(f"{48 * 95 // page_size} requests"), told
    assert "of their hours" in told


def test_reading_a_window_is_remembered(open_scene: Scene) -> None:
    open_scene.emit(95, seconds_ago=3_700)
    window = window_at(open_scene.source.window, open_scene.clock.now_ms - 3_700_000)
    with open_scene.work() as work, work.spool.lock():
        before = open_scene.vendor.requests
        read_window(work, window, fresh=True)
        cost = work.walk_notes.read().window
        assert cost is not None
        assert cost.requests == open_scene.vendor.requests - before > 5
        assert (cost.counted, cost.size_ms) == (1, HOUR_MS)


def test_the_mean_follows_the_newest_windows_and_is_written_seldom(open_scene: Scene) -> None:
    window = windows(open_scene, 1)[0]
    with open_scene.work() as work:
        for _ in range(30):
            note_cost(work, window, requests=10, seconds=1)
        assert work.walk_notes.read().window == WindowCost(HOUR_MS, 10, 0.1, 20)
        for _ in range(100):
            note_cost(work, window, requests=20, seconds=2)
        cost = work.walk_notes.read().window
        assert cost is not None
        assert 18 < cost.requests <= 20


def test_what_a_day_took_says_nothing_of_hours(open_scene: Scene) -> None:
    with open_scene.work() as work:
        work.walk_notes.note(window=WindowCost(24 * HOUR_MS, 1_000, 0.1, 20))
    assert words(open_scene, 3).startswith("3 requests")


def test_notes_of_before_are_read() -> None:
    assert msgspec.json.decode(b'{"cursor_shape":"a","paging_shape":null}', type=WalkNotes) == WalkNotes("a")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 s"), (89, "89 s"), (1_240, "21 min"), (7_200, "2 h"), (90_000, "25 h"), (400_000, "5 days")],
)
def test_spans_are_told_as_nobody_knows_them_better(seconds: float, said: str) -> None:
    assert about(seconds) == said
