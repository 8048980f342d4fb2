"""Where a walk leaves the position."""

from __future__ import annotations

import pytest

from flicker_dagster.pipeline.plan import Slice, frontier_after
from flicker_dagster.types import DecodedPage, Page, Position, WalkState
from flicker_dagster_tests.builders import a_source

#: 2026-01-01T12:00:00Z
NOON_MS = 1_767_268_800_000
MINUTE_MS = 60_000
LAST = Page(DecodedPage(list, [], [], 0), None, None, None, 9)


@pytest.mark.parametrize("of_set", [True, False])
def test_the_position_does_not_pass_what_the_first_member_of_a_set_was_asked_for(of_set: bool) -> None:
    listing = a_source(
        endpoint="https://v.test/{member}/events",
        time_filter_bounded_live=False,
        over={"members": ["a", "b"]} if of_set else None,
    ).listing
    stood = Position("2026-01-01T11:00:00.000Z", None)
    walk = WalkState(start_ms=NOON_MS - 60 * MINUTE_MS, began_ms=NOON_MS, member="b" if of_set else None)
    newest_ms = NOON_MS + 30 * MINUTE_MS  # the walk was interrupted after "a", and "b" was read an hour later
    found = frontier_after(
        listing, stood, Slice(walk, last=True), LAST, None, newest_ms=newest_ms, now_ms=NOON_MS + 60 * MINUTE_MS
    )
    assert found is not None
    assert found.last_timestamp == ("2026-01-01T12:00:00.000Z" if of_set else "2026-01-01T12:30:00.000Z")


def test_a_members_cursor_moves_the_position_of_no_set() -> None:
    paging = {"cursor": {"at": "cursor"}, "following": {"at": "next"}, "durable": True}
    listing = a_source(endpoint="https://v.test/{member}/events", over={"members": ["a", "b"]}, paging=paging).listing
    stood = Position("2026-01-01T11:00:00.000Z", None)
    walk = WalkState(start_ms=NOON_MS - 60 * MINUTE_MS, began_ms=NOON_MS, member="a")
    page = Page(DecodedPage(list, [], [], 0), walk, "a's", None, 1)
    newest_ms = NOON_MS - MINUTE_MS
    found = frontier_after(listing, stood, Slice(walk, last=True), page, walk, newest_ms=newest_ms, now_ms=NOON_MS)
    assert found == stood


def test_a_quiet_position_by_arrival_stays_behind_clocks_that_are_taken_for_equal() -> None:
    listing = a_source(axis="arrival", lookback_ms=0).listing
    stood = Position("2026-01-01T11:00:00.000Z", None)
    walk = WalkState(start_ms=NOON_MS - 60 * MINUTE_MS, began_ms=NOON_MS + 4_000)  # our clock is 4 s ahead
    found = frontier_after(listing, stood, Slice(walk, last=True), LAST, None, newest_ms=None, now_ms=NOON_MS + 999)
    assert found == Position("2026-01-01T11:59:50.999Z", None)
