"""Spans in the vendor's own resolution, and pages whose cursor is bound to what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from flicker_dagster.simulator.emitter import Emitter, Event
from flicker_dagster.simulator.listings import by_event_time, cursor_of, place_of


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


#: Where an event stands in a listing: a list or tuple that sorts as the listing does.
Place = Callable[[Event], Any]


def by_time(event: Event) -> list[int]:
    """Events of one time stand as they were recorded."""
    return [event.published_ms, event.number]


def by_time_and_id(event: Event) -> tuple[int, str]:
    """Events of one time stand by their ids."""
    return event.published_ms, event.id


def beyond(events: list[Event], after: Any, *, place: Place = by_time, newest_first: bool = False) -> list[Event]:
    """What comes after a place."""
    return [event for event in events if (place(event) < after if newest_first else place(event) > after)]


def page_after(
    events: list[Event],
    limit: int,
    cursor: object,
    asked: Any,
    *,
    place: Place = by_time,
    newest_first: bool = False,
    expired: bool = False,
    empty: bool = False,
    whole_ms: int | None = None,
) -> Page | None:
    """The page after a cursor, in the order of `events`. A cursor names the place of the last event it covers, and is bound
    to what was asked; None where it is refused. `empty` gives a page of no events before that page: a place has to end with
    a number for it. With `whole_ms` a page goes on to the end of its last so many milliseconds."""
    bound = crc32(json.dumps(asked, sort_keys=True, default=str).encode())
    if cursor is not None:
        kept = None if expired or not isinstance(cursor, str) else place_of(cursor)
        if kept is None or kept.get("asked") != bound:
            return None
        events = beyond(events, kept["at"], place=place, newest_first=newest_first)
    if empty and events:
        *first, number = place(events[0])
        return Page([], cursor_of(at=[*first, number + (1 if newest_first else -1)], asked=bound), True)
    page = events[: limit if whole_ms is None else _whole(events, limit, whole_ms)]
    return Page(page, cursor_of(at=place(page[-1]), asked=bound) if page else None, len(page) < len(events))


def _whole(events: list[Event], limit: int, step_ms: int) -> int:
    """How many events there are to the end of the step in which the limit is reached."""
    end = limit
    while 0 < end < len(events) and events[end].published_ms // step_ms == events[end - 1].published_ms // step_ms:
        end += 1
    return end


def _up(ms: int, step_ms: int) -> int:
    return -(-ms // step_ms) * step_ms
