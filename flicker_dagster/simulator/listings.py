"""What dialects build listings of: spans of events in an order, opaque cursors, parameters that are known."""

from __future__ import annotations

import base64
import json
from bisect import bisect_left
from typing import Any
from zlib import crc32

from flicker_dagster.simulator.emitter import Emitter, Event


def by_event_time(
    emitter: Emitter,
    start_ms: int | None = None,
    end_ms: int | None = None,
    *,
    start_inclusive: bool = True,
    end_inclusive: bool = True,
    newest_first: bool = False,
) -> list[Event]:
    """Visible events whose own time lies in the span; a bound that is None does not bound."""
    first = 0 if start_ms is None else start_ms + (not start_inclusive)
    last = emitter.now_ms() if end_ms is None else end_ms - (not end_inclusive)
    events = emitter.between(first, last)
    return events[::-1] if newest_first else list(events)


def by_arrival(
    emitter: Emitter, start_ms: int | None = None, end_ms: int | None = None, *, end_inclusive: bool = True
) -> list[Event]:
    """Visible events by when the vendor stored them, in that order; `start_ms` is inclusive."""
    stored = emitter.stored()
    first = 0 if start_ms is None else bisect_left(stored, start_ms, key=lambda event: event.visible_ms)
    last = len(stored)
    if end_ms is not None:
        last = bisect_left(stored, end_ms + end_inclusive, key=lambda event: event.visible_ms)
    return stored[first:last]


def cursor_of(**place: Any) -> str:
    """An opaque cursor that remembers a place in a listing, and whatever else it is bound to."""
    text = json.dumps(place, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(b"%08x" % crc32(text) + text).decode().rstrip("=")


def place_of(cursor: str | None) -> dict[str, Any] | None:
    """What a cursor remembers; None for what is no cursor of ours."""
    if cursor is None:
        return None
    try:
        coded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        return None
    text = coded[8:]
    return json.loads(text) if coded[:8] == b"%08x" % crc32(text) else None
