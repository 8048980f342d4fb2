"""Bounds: which instants a request can name. A vendor's time format may be as coarse as a day."""

from __future__ import annotations

from flicker_dagster.config.listing import TimeFilter
from flicker_dagster.time_bounds import bound_after, bound_before


def from_bound_ms(asked: TimeFilter, ms: int) -> int:
    """The last instant by `ms` that a request can name: the span asked for begins no later than wanted."""
    return bound_before(ms, asked.format, asked.zone)


def sent_start_ms(asked: TimeFilter, ms: int) -> int:
    """The start that a request names for what came from `ms` on: one step earlier where the vendor takes it as exclusive."""
    start_ms = from_bound_ms(asked, ms)
    return from_bound_ms(asked, start_ms - 1) if asked.start_exclusive else start_ms


def end_bound_ms(asked: TimeFilter, ms: int) -> int:
    """The first instant from `ms` on that a request can name."""
    return bound_after(ms, asked.format, asked.zone)


def until_bound_ms(asked: TimeFilter, ms: int, *, now_ms: int) -> int:
    """The same, or the last one before `ms` where that lies in the future.

    Many vendors refuse a bound in the future. Where the format is coarse (a day), what happens between the bound and now
    is asked for again once its step is over.
    """
    up_ms = end_bound_ms(asked, ms)
    return up_ms if up_ms <= max(now_ms, ms) or asked.until_future else from_bound_ms(asked, ms)


def slice_end_ms(asked: TimeFilter, start_ms: int) -> int | None:
    """Where a request from `start_ms` on has to end at the latest: after `slice_ms` in whole steps of the format, one
    step at least; None where spans are not cut."""
    if asked.slice_ms is None:
        return None
    end_ms = from_bound_ms(asked, start_ms + asked.slice_ms)
    return end_ms if end_ms > start_ms else end_bound_ms(asked, start_ms + 1)
