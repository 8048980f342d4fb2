"""Earlier positions of each source, so that any of them can be restored by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.stores import Store
from flicker_dagster.types import Position

#: Most positions kept of a source.
MAX_POSITIONS = 50
#: So many of the newest are kept as they are; older ones are thinned to one an hour, or 50 would span 25 minutes of
#: a source polled every 30 seconds.
RECENT_POSITIONS = 20
_HOUR_MS = 3_600_000


class SavedPosition(NamedTuple):
    """A position and when it was saved, in milliseconds since the epoch."""

    saved_at_ms: int
    position: Position


class _Entry(msgspec.Struct, frozen=True):
    saved_at_ms: int
    last_timestamp: str | None = None
    cursor: str | None = None


class PositionHistory:
    """Objects `positions/<source>.json`, newest position first."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def read(self, source: str) -> list[SavedPosition]:
        """Positions of a source, newest first. Raises StateError."""
        return [SavedPosition(e.saved_at_ms, Position(e.last_timestamp, e.cursor)) for e in self._load(source)[0]]

    def add(self, source: str, before: Position | None, after: Position) -> None:
        """Put `after` in front. `before`, the position it replaces, is added too if a crash had left it out."""
        for _ in attempts(self._store.describe(_key(source))):
            entries, version = self._load(source)
            now_ms = int(self._clock() * 1000)
            if before is not None and (not entries or _position(entries[0]) != before):
                entries.insert(0, _Entry(now_ms, before.last_timestamp, before.cursor))
            entries.insert(0, _Entry(now_ms, after.last_timestamp, after.cursor))
            try:
                self._store.write(_key(source), _encode(thinned(entries)), expected=version)
            except WriteConflict:
                continue
            return

    def _load(self, source: str) -> tuple[list[_Entry], str | None]:
        stored = self._store.read(_key(source))
        if stored is None:
            return [], None
        try:
            return msgspec.json.decode(stored.data, type=list[_Entry]), stored.version
        except msgspec.DecodeError as error:
            where = self._store.describe(_key(source))
            raise StateError(f"{where} is damaged ({error}); remove it, a new history begins") from error


def thinned(entries: list[_Entry]) -> list[_Entry]:
    """The newest as they are, then the newest of each hour, at most MAX_POSITIONS in all."""
    kept = entries[:RECENT_POSITIONS]
    hours = set()
    for entry in entries[RECENT_POSITIONS:]:
        hour = entry.saved_at_ms // _HOUR_MS
        if hour not in hours:
            hours.add(hour)
            kept.append(entry)
    return kept[:MAX_POSITIONS]


def _position(entry: _Entry) -> Position:
    return Position(entry.last_timestamp, entry.cursor)


def _encode(entries: list[_Entry]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n"


def _key(source: str) -> str:
    return f"positions/{file_safe(source)}.json"
