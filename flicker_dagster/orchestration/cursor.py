"""The live sensor's cursor: the position, as readable JSON that an operator may edit in the UI.

`{"last_timestamp": "2026-01-31T12:00:00.000Z", "cursor": null}`. Three more keys appear only while they mean something:
`redeliver: true` (ship everything again up to where collection stood), `awaiting`, which names the request whose run
may move the position on, and `rewind`, which names the operator's order that put the position here. A cursor typed by
hand awaits nothing, so no run that was in flight can overwrite it.
"""

from __future__ import annotations

import json

import msgspec

from flicker_dagster.errors import FlickerError
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import Position

EXAMPLE = '{"last_timestamp": "2026-01-31T12:00:00.000Z", "cursor": null}'


class LiveCursor(msgspec.Struct, frozen=True):
    position: Position
    redeliver: bool = False
    awaiting: str | None = None
    rewind: str | None = None

    def to_text(self) -> str:
        shown: dict[str, object] = {
            "last_timestamp": self.position.last_timestamp,
            "cursor": self.position.cursor,
        }
        if self.redeliver:
            shown["redeliver"] = True
        if self.awaiting is not None:
            shown["awaiting"] = self.awaiting
        if self.rewind is not None:
            shown["rewind"] = self.rewind
        return json.dumps(shown)

    def asking(self, request: str) -> LiveCursor:
        return msgspec.structs.replace(self, awaiting=request)


class Outcome(msgspec.Struct, frozen=True):
    """What the materialisation of a live run says: collection moved `start` → `end`."""

    request: str | None
    start: Position
    end: Position
    redeliver: bool = False  # the redelivery is not finished yet


def parse_cursor(text: str) -> LiveCursor:
    """Read a cursor, hand-written ones included. Raises FlickerError that says what was found and what is expected."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise FlickerError(f"the cursor is no JSON ({error}); expected {EXAMPLE}") from None
    if not isinstance(found, dict):
        raise FlickerError(f"the cursor is a {type(found).__name__}; expected an object such as {EXAMPLE}")
    unknown = set(found) - {"last_timestamp", "cursor", "redeliver", "awaiting", "rewind"}
    if unknown:
        raise FlickerError(f"the cursor has unknown keys {sorted(unknown)}; expected {EXAMPLE}")
    last_timestamp, cursor = found.get("last_timestamp"), found.get("cursor")
    if not isinstance(last_timestamp, str) or parse_time_ms(last_timestamp) is None:
        raise FlickerError(
            f"the cursor's last_timestamp is {last_timestamp!r}; expected an RFC 3339 time as in {EXAMPLE}"
        )
    if cursor is not None and not isinstance(cursor, str):
        raise FlickerError(f"the cursor's cursor is {cursor!r}; expected text or null")
    awaiting, rewind = found.get("awaiting"), found.get("rewind")
    return LiveCursor(
        position=Position(last_timestamp=last_timestamp, cursor=cursor),
        redeliver=found.get("redeliver") is True,
        awaiting=awaiting if isinstance(awaiting, str) else None,
        rewind=rewind if isinstance(rewind, str) else None,
    )


def fold(cursor: LiveCursor, outcome: Outcome) -> LiveCursor:
    """Compare-and-set: move the cursor over a run's outcome only if it still stands where that run started."""
    if cursor.awaiting is None or outcome.request != cursor.awaiting or outcome.start != cursor.position:
        return cursor
    return LiveCursor(position=outcome.end, redeliver=outcome.redeliver)
