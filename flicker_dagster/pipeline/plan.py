"""Planning: which span of time to ask the vendor for next, and where a walk leaves the frontier. Pure functions."""

from __future__ import annotations

import msgspec

from flicker_dagster.collect.bounds import end_bound_ms, from_bound_ms, slice_end_ms, until_bound_ms
from flicker_dagster.config.grid import Grid
from flicker_dagster.config.listing import Listing, TimeFilter
from flicker_dagster.errors import FlickerError, NotClosed, NotRetained
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster.types import Page, Position, WalkState, Window, timed_of

#: A quiet source's position follows the clock at this distance, so that it neither looks stale nor runs into retention.
QUIET_DISTANCE_MS = DAY_MS

#: By arrival nothing comes behind the vendor's clock; but a clock that is 5 s ahead of it is taken for equal, and a Date is
#: cut to the second.
ARRIVAL_DISTANCE_MS = 10_000


class Slice(msgspec.Struct, frozen=True):
    """One walk of the plan. `last` says that nothing is left to ask after it."""

    walk: WalkState
    last: bool


def time_of(position: Position | None) -> int | None:
    """The instant a position stands at; None where it names none."""
    return None if position is None or position.last_timestamp is None else parse_time_ms(position.last_timestamp)


def position_ms(position: Position, *, source: str) -> int:
    """The time of a position of `source`, ms. Raises FlickerError where it cannot be read."""
    value = time_of(position)
    if value is None:
        raise FlickerError(
            f"{source}: position {position.last_timestamp!r} is no time; expected RFC 3339 such as "
            '"2026-01-31T12:00:00.000Z" (correct the cursor of the sensor, or `flicker position set`)'
        )
    return value


def start_position(position: Position, stood: Position | None) -> Position:
    """Where a walk from `position` starts, given where the registry stood.

    A durable cursor beside another time than the one it was saved with means that somebody rewound by hand and edited
    the time only: the time is what they meant, so the cursor is left out.
    """
    if stood is None or position.cursor is None or position.cursor != stood.cursor:
        return position
    return position if position.last_timestamp == stood.last_timestamp else Position(position.last_timestamp, None)


def next_slice(listing: Listing, frontier: Position | None, walk: WalkState | None, *, now_ms: int) -> Slice:
    """The next walk of live collection: an interrupted one as it stands, the slice after the last one, or one from the
    frontier with its lookback. None asks for more than `slice_ms`."""
    assert frontier is not None
    asked = listing.time
    target_ms = now_ms - asked.delay_ms
    if walk is not None and walk.further:
        reaches_ms = until_bound_ms(asked, target_ms, now_ms=now_ms)
        return Slice(walk, last=walk.end_ms is None or asked.slice_ms is None or walk.end_ms >= reaches_ms)
    stands_ms = position_ms(frontier, source=listing.name)
    from_ms = stands_ms - asked.lookback_ms if walk is None or walk.start_ms is None else walk.start_ms
    start_ms = from_bound_ms(asked, earliest_ms(from_ms, now_ms, retention_ms=asked.retention_ms))
    if not asked.bounded_live:
        return Slice(WalkState(start_ms=start_ms, cursor=frontier.cursor, began_ms=now_ms), last=True)
    # A local clock behind the vendor's must not ask for a span that ends before it begins.
    end_ms = max(target_ms, stands_ms, start_ms)
    most_ms = slice_end_ms(asked, start_ms)
    last = most_ms is None or end_ms <= most_ms
    end_ms = until_bound_ms(asked, end_ms, now_ms=now_ms) if last else most_ms
    return Slice(WalkState(start_ms=start_ms, end_ms=end_ms, cursor=frontier.cursor, began_ms=now_ms), last=last)


def window_slice(asked: TimeFilter, window: Window, walk: WalkState | None, *, now_ms: int) -> Slice:
    """The walk of a window, bounded on both sides; cut into slices where the window is wider than the vendor likes."""
    window_end_ms = end_bound_ms(asked, window.end_ms)
    if walk is not None and walk.further:
        return Slice(walk, last=walk.end_ms is None or walk.end_ms >= window_end_ms)
    from_ms = window.start_ms if walk is None or walk.start_ms is None else walk.start_ms
    start_ms = from_bound_ms(asked, earliest_ms(from_ms, now_ms, retention_ms=asked.retention_ms))
    end_ms = min(window_end_ms, slice_end_ms(asked, start_ms) or window_end_ms)
    return Slice(WalkState(start_ms=start_ms, end_ms=end_ms, began_ms=now_ms), last=end_ms >= window_end_ms)


def after_slice(asked: TimeFilter, frontier: Position | None, walk: WalkState) -> WalkState:
    """Where the slice after this one begins. Slices of live collection overlap by the lookback, or by half of themselves
    where it is longer: each must get further. Those of a window do not: what is in it is counted."""
    assert walk.start_ms is not None
    assert walk.end_ms is not None
    overlap_ms = 0 if frontier is None else min(asked.lookback_ms, (walk.end_ms - walk.start_ms) // 2)
    next_ms = from_bound_ms(asked, walk.end_ms - overlap_ms)
    return WalkState(start_ms=next_ms if next_ms > walk.start_ms else walk.end_ms)


def refuse_if_not_closed(listing: Listing, window: Window, *, now_ms: int) -> None:
    """Raise NotClosed for a window whose end cannot be asked for yet: in days, only when the day is over.

    A bound before it would leave out a part of the window where the vendor takes it as exclusive.
    """
    end_ms = end_bound_ms(listing.time, window.end_ms)
    if end_ms > now_ms and not listing.time.until_future:
        raise NotClosed(
            f"{listing.name}: window {window.key} can be read from {rfc3339_ms(end_ms)} on: time_filter_format "
            f"{listing.time.format!r} names no earlier instant after its end"
        )


def refuse_if_not_askable(grid: Grid) -> None:
    """Raise FlickerError for a window of an API that cannot be asked for one."""
    if not grid.windows.askable:
        raise FlickerError(
            f"{grid.name}: this API lists what arrives and cannot be asked for a window, so none can be read again; its "
            "cursor says that nothing is missing between two polls"
        )


def gap_ms(listing: Listing, frontier: Position, *, now_ms: int) -> int:
    """How much of the span since the frontier the vendor no longer keeps; what happened there cannot be collected."""
    retention_ms = listing.time.retention_ms
    if retention_ms is None:
        return 0
    return max(0, now_ms - retention_ms - position_ms(frontier, source=listing.name))


def refuse_if_not_retained(listing: Listing, window: Window, *, now_ms: int) -> None:
    """Raise NotRetained for a window that the vendor no longer keeps whole: it can never be certified."""
    retention_ms = listing.time.retention_ms
    if retention_ms is not None and window.start_ms < now_ms - retention_ms:
        days = retention_ms / DAY_MS
        raise NotRetained(
            f"{listing.name}: window {window.key} is a gap: the vendor keeps {days:g} days (retention_ms), so it cannot be "
            "read again and is not verified"
        )


def earliest_ms(start_ms: int, now_ms: int, *, retention_ms: int | None) -> int:
    """Never ask further back than the vendor keeps events: some answer that with an error, for ever."""
    return start_ms if retention_ms is None else max(start_ms, now_ms - retention_ms)


def newest_after(newest_ms: int | None, page: Page, now_ms: int, *, by_arrival: bool) -> int | None:
    """The newest time so far on the stream's axis; an event dated in the future of the vendor's clock does not count."""
    times_ms = timed_of(_arrivals(page) if by_arrival else page.decoded.times_ms)
    page_ms = max(times_ms, default=None)
    if page_ms is not None and page_ms > now_ms:
        page_ms = max((ms for ms in times_ms if ms <= now_ms), default=None)
    if page_ms is None or newest_ms is None:
        return newest_ms if page_ms is None else page_ms
    return max(newest_ms, page_ms)


def _arrivals(page: Page) -> list[int | None]:
    """When what is on a page became available, as far as it is told."""
    told = [] if page.decoded.axis_ms is None else list(page.decoded.axis_ms)
    return told if page.object_ms is None else [*told, page.object_ms]


def frontier_after(
    listing: Listing,
    frontier: Position | None,
    piece: Slice,
    page: Page,
    resume: WalkState | None,
    *,
    newest_ms: int | None,
    now_ms: int,
) -> Position | None:
    """Where collection stands after a page. Only a durable cursor moves it inside a walk; time moves it at the end.

    It never goes backwards and never past the vendor's clock: `newest_ms` holds no event of the future.
    """
    if frontier is None:  # a window's walk has no position
        return None
    stood_ms = position_ms(frontier, source=listing.name)
    keeps_cursor = listing.paging.durable and listing.over is None  # a cursor is one member's
    durable = keeps_cursor and page.resume_cursor is not None
    if resume is not None and not durable:
        return frontier
    asked = [ms for ms in (piece.walk.end_ms, piece.walk.began_ms, now_ms) if ms is not None]
    if listing.over is not None and newest_ms is not None:
        newest_ms = min(newest_ms, *asked)  # of a member that was read first nothing later was asked for
    reached_ms = max(stood_ms, newest_ms or stood_ms)
    if resume is None and not piece.last and piece.walk.end_ms is not None:
        reached_ms = max(reached_ms, min(asked))
    elif resume is None:  # what happened since an interrupted walk began was not asked for
        distance_ms = ARRIVAL_DISTANCE_MS if listing.by_arrival else QUIET_DISTANCE_MS
        reached_ms = max(reached_ms, min(asked) - max(distance_ms, listing.time.lookback_ms))
    cursor = page.resume_cursor if keeps_cursor else None
    return Position(last_timestamp=rfc3339_ms(reached_ms), cursor=cursor or (frontier.cursor if durable else None))
