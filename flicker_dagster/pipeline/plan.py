"""Planning: which span of time to ask the vendor for next, and where a walk leaves the frontier. Pure functions."""

from __future__ import annotations

import msgspec

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError, NotRetained
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster.types import Page, Position, WalkState, Window

#: A quiet source's position follows the clock at this distance, so that it neither looks stale nor runs into retention.
QUIET_DISTANCE_MS = DAY_MS


class Slice(msgspec.Struct, frozen=True):
    """One walk of the plan. `last` says that nothing is left to ask after it."""

    walk: WalkState
    last: bool


def time_of(position: Position | None) -> int | None:
    """The instant a position stands at; None where it names none."""
    return None if position is None or position.last_timestamp is None else parse_time_ms(position.last_timestamp)


def position_ms(source: SourceConfig, position: Position) -> int:
    """The time of a position, ms. Raises FlickerError where it cannot be read."""
    value = time_of(position)
    if value is None:
        raise FlickerError(
            f"{source.name}: position {position.last_timestamp!r} is no time; expected RFC 3339 such as "
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


def next_slice(source: SourceConfig, frontier: Position | None, walk: WalkState | None, *, now_ms: int) -> Slice:
    """The next walk of live collection: an interrupted one as it stands, else from the frontier with its lookback."""
    assert frontier is not None
    target_ms = now_ms - source.delay_ms
    if walk is not None:
        return Slice(walk, last=walk.end_ms is None or source.slice_ms is None or walk.end_ms >= target_ms)
    start_ms = earliest_ms(source, position_ms(source, frontier) - source.lookback_ms, now_ms)
    if not source.time_filter_bounded_live:
        return Slice(WalkState(start_ms=start_ms, cursor=frontier.cursor), last=True)
    # A local clock behind the vendor's must not ask for a span that ends before it begins.
    end_ms = max(target_ms, start_ms + source.lookback_ms)
    if source.slice_ms is not None and end_ms - start_ms > source.slice_ms + source.lookback_ms:
        end_ms = start_ms + source.lookback_ms + source.slice_ms
        return Slice(WalkState(start_ms=start_ms, end_ms=end_ms, cursor=frontier.cursor), last=False)
    return Slice(WalkState(start_ms=start_ms, end_ms=end_ms, cursor=frontier.cursor), last=True)


def window_slice(source: SourceConfig, window: Window, walk: WalkState | None, *, now_ms: int) -> Slice:
    """The walk of a window, bounded on both sides; cut into slices where the window is wider than the vendor likes."""
    if walk is not None and (walk.cursor is not None or walk.page or walk.offset):
        return Slice(walk, last=walk.end_ms is None or walk.end_ms >= window.end_ms)
    start_ms = window.start_ms if walk is None or walk.start_ms is None else walk.start_ms
    end_ms = window.end_ms if source.slice_ms is None else min(window.end_ms, start_ms + source.slice_ms)
    return Slice(WalkState(start_ms=earliest_ms(source, start_ms, now_ms), end_ms=end_ms), last=end_ms >= window.end_ms)


def start_of(source: SourceConfig, frontier: Position | None, walk: WalkState, *, now_ms: int) -> WalkState:
    """The same walk without its cursor: from the frontier's time, or its own start where it is earlier."""
    start_ms = walk.start_ms
    if frontier is not None and frontier.last_timestamp is not None:
        by_time = earliest_ms(source, position_ms(source, frontier) - source.lookback_ms, now_ms)
        start_ms = by_time if start_ms is None else min(start_ms, by_time)
    return WalkState(start_ms=start_ms, end_ms=walk.end_ms)


def gap_ms(source: SourceConfig, frontier: Position, *, now_ms: int) -> int:
    """How much of the span since the frontier the vendor no longer keeps; what happened there cannot be collected."""
    if source.retention_ms is None:
        return 0
    return max(0, now_ms - source.retention_ms - position_ms(source, frontier))


def refuse_if_not_retained(source: SourceConfig, window: Window, *, now_ms: int) -> None:
    """Raise NotRetained for a window that the vendor no longer keeps whole: it can never be certified."""
    if source.retention_ms is not None and window.start_ms < now_ms - source.retention_ms:
        days = source.retention_ms / DAY_MS
        raise NotRetained(
            f"{source.name}: window {window.key} is a gap: the vendor keeps {days:g} days (retention_ms), so it cannot be "
            "read again and is not verified"
        )


def earliest_ms(source: SourceConfig, start_ms: int, now_ms: int) -> int:
    """Never ask further back than the vendor keeps events: some answer that with an error, for ever."""
    return start_ms if source.retention_ms is None else max(start_ms, now_ms - source.retention_ms)


def frontier_after(
    source: SourceConfig,
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
    stood_ms = position_ms(source, frontier)
    durable = source.pagination.durable_cursor and page.resume_cursor is not None
    if resume is not None and not durable:
        return frontier
    reached_ms = max(stood_ms, newest_ms or stood_ms)
    if resume is None and not piece.last and piece.walk.end_ms is not None:
        reached_ms = max(reached_ms, min(piece.walk.end_ms, now_ms))
    elif resume is None:
        reached_ms = max(reached_ms, now_ms - max(QUIET_DISTANCE_MS, source.lookback_ms))
    cursor = page.resume_cursor if source.pagination.durable_cursor else None
    return Position(last_timestamp=rfc3339_ms(reached_ms), cursor=cursor or (frontier.cursor if durable else None))
