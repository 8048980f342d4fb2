"""Spans in the vendor's own resolution, and pages whose cursor is bound to what was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from flicker_dagster.simulator.emitter import Emitter, Event
from flicker_dagster.simulator.listings import by_event_time, cursor_of, place_of
from flicker_dagster.simulator.pages import beyond, place


def in_span(
    emitter: Emitter,
    start_ms: int | None = None,
    end_ms: int | None = None,
    *,
    step_ms: int = 1,
    start_inclusive: bool = True,
    end_inclusive: bool = False,
    newest_first: bool = False,
) -> list[Event]:
    """Visible events by event time, as a vendor sees it that knows times in whole steps only (1000: seconds)."""
    if start_ms is not None:
        start_ms = _up(start_ms, step_ms) if start_inclusive else start_ms // step_ms * step_ms + step_ms
    if end_ms is not None:
        end_ms = end_ms // step_ms * step_ms + step_ms if end_inclusive else _up(end_ms, step_ms)
    return by_event_time(emitter, start_ms, end_ms, end_inclusive=False, newest_first=newest_first)


@dataclass(frozen=True)
class Page:
    """`last` is the cursor after its last event, also where nothing follows; None for an empty page."""

    events: list[Event]
    last: str | None
    more: bool

    @property
    def following(self) -> str | None:
        """The cursor of the next page, if there is one."""
        return self.last if self.more else None


def page_after(
    events: list[Event],
    limit: int,
    cursor: object,
    asked: Any,
    *,
    newest_first: bool = False,
    expired: bool = False,
    empty: bool = False,
) -> Page | None:
    """The page after a cursor, in the order of `events`. A cursor names the place of the last event it covers, and is bound
    to what was asked; None where it is refused. `empty` gives a page of no events before that page."""
    bound = crc32(json.dumps(asked, sort_keys=True, default=str).encode())
    if cursor is not None:
        kept = None if expired or not isinstance(cursor, str) else place_of(cursor)
        if kept is None or kept.get("asked") != bound:
            return None
        events = beyond(events, kept["at"], newest_first=newest_first)
    if empty and events:
        ms, number = place(events[0])
        return Page([], cursor_of(at=[ms, number + (1 if newest_first else -1)], asked=bound), True)
    page = events[:limit]
    return Page(page, cursor_of(at=place(page[-1]), asked=bound) if page else None, len(page) < len(events))


def _up(ms: int, step_ms: int) -> int:
    return -(-ms // step_ms) * step_ms
