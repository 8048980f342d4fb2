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
from flicker_dagster.printable import cut, visible
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import Position

#: A longer text is no position of ours: a vendor's cursor has 64 KB at most.
LONGEST_TEXT = 200_000

SHOWN_CHARS = 80
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
    """Read a cursor, hand-written ones included. Raises FlickerError that says what was found and what is expected, on
    one line, whatever the text is."""
    if len(text) > LONGEST_TEXT:
        raise FlickerError(f"the cursor has {len(text)} characters; expected {EXAMPLE}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # of a number with too many digits, as well
        raise FlickerError(f"the cursor is no JSON ({error}); expected {EXAMPLE}") from None
    if not isinstance(found, dict):
        raise FlickerError(f"the cursor is a {type(found).__name__}; expected an object such as {EXAMPLE}")
    unknown = set(found) - {"last_timestamp", "cursor", "redeliver", "awaiting", "rewind"}
    if unknown:
        raise FlickerError(f"the cursor has unknown keys {_shown(sorted(unknown))}; expected {EXAMPLE}")
    last_timestamp, cursor = found.get("last_timestamp"), found.get("cursor")
    if not isinstance(last_timestamp, str) or parse_time_ms(last_timestamp) is None:
        raise FlickerError(
            f"the cursor's last_timestamp is {_shown(last_timestamp)}; expected an RFC 3339 time as in {EXAMPLE}"
        )
    if not (cursor is None or _is_text(cursor)):
        raise FlickerError(f"the cursor's cursor is {_shown(cursor)}; expected text or null")
    for key, value in (("awaiting", found.get("awaiting")), ("rewind", found.get("rewind"))):
        if not (value is None or _is_text(value)):
            raise FlickerError(f"the cursor's {key} is {_shown(value)}; it is Flicker's own, leave it out")
    if not isinstance(found.get("redeliver"), bool | None):
        raise FlickerError(f"the cursor's redeliver is {_shown(found['redeliver'])}; expected true, or leave it out")
    return LiveCursor(
        position=Position(last_timestamp=last_timestamp, cursor=cursor or None),
        redeliver=found.get("redeliver") is True,
        awaiting=found.get("awaiting"),
        rewind=found.get("rewind"),
    )


def _is_text(value: object) -> bool:
    """Text that can be sent and stored: a lone surrogate cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return cut(visible(repr(value)), SHOWN_CHARS)


def fold(cursor: LiveCursor, outcome: Outcome) -> LiveCursor:
    """Compare-and-set: move the cursor over a run's outcome only if it still stands where that run started."""
    if cursor.awaiting is None or outcome.request != cursor.awaiting or outcome.start != cursor.position:
        return cursor
    return LiveCursor(position=outcome.end, redeliver=outcome.redeliver)
