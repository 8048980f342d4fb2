"""Pages of a listing meet every event once, whatever is recorded meanwhile."""

from __future__ import annotations

import pytest

from flicker_dagster.simulator.emitter import Emitter
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster_tests.simulator.worlds import Clock, ids


@pytest.fixture
def emitter() -> Emitter:
    return Emitter(lambda number, ms, _chance: (str(number), b'{"n": %d}' % number), clock=Clock())


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("empty", [False, True])
def test_pages_meet_every_event_once_ties_included(emitter: Emitter, newest_first: bool, empty: bool) -> None:
    events = emitter.emit(7)
    emitter.emit(2, at_ms=events[0].published_ms - 5)
    met: list[str] = []
    cursor: str | None = None
    for step in range(20):
        listed = in_span(emitter, newest_first=newest_first)
        page = page_after(listed, 2, cursor, "all", newest_first=newest_first, empty=empty and step % 2 == 0)
        assert page is not None
        met += ids(page.events)
        cursor = page.following
        if cursor is None:
            break
    assert met == ids(in_span(emitter, newest_first=newest_first))


def test_a_cursor_is_refused_for_another_question_and_when_it_is_over(emitter: Emitter) -> None:
    events = emitter.emit(3)
    page = page_after(events, 1, None, {"from": 1})
    assert page is not None
    assert page_after(events, 1, page.following, {"from": 2}) is None
    assert page_after(events, 1, page.following, {"from": 1}, expired=True) is None
    assert page_after(events, 1, "nonsense", {"from": 1}) is None


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [((1000, True), (2000, False), "12"), ((1000, False), (2000, True), "34"), ((1001, True), (2001, False), "34")],
)
def test_a_vendor_of_whole_seconds_compares_whole_seconds(
    emitter: Emitter, start: tuple[int, bool], end: tuple[int, bool], found: str
) -> None:
    for ms in (999, 1000, 1999, 2000, 2999, 3000):
        emitter.emit(1, at_ms=ms)
    listed = in_span(emitter, start[0], end[0], step_ms=1000, start_inclusive=start[1], end_inclusive=end[1])
    assert "".join(ids(listed)) == found
