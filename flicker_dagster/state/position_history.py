"""Earlier positions of each source, so that any of them can be restored by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.readers import reader
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
    """A position, when it was saved in milliseconds since the epoch, and its number, which it keeps for good.

    `by_hand` marks one that was left by an operator's rewind: it is not thinned out.
    """

    saved_at_ms: int
    position: Position
    number: int = 0
    by_hand: bool = False


class _Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    saved_at_ms: int
    last_timestamp: str | None = None
    cursor: str | None = None
    number: int = 0
    by_hand: bool = False


_read_entries = reader(list[_Entry])


class PositionHistory:
    """Objects `positions/<source>.json`, newest position first."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def read(self, source: str) -> list[SavedPosition]:
        """Positions of a source, newest first. Raises StateError."""
        return [SavedPosition(e.saved_at_ms, _position(e), e.number, e.by_hand) for e in self._load(source)[0]]

    def add(self, source: str, before: Position | None, after: Position) -> None:
        """Put `after` in front. `before`, the position it replaces, is added too if a crash had left it out."""

        def change(entries: list[_Entry]) -> None:
            if before is not None and (not entries or _position(entries[0]) != before):
                self._put(entries, before)
            self._put(entries, after)

        self._change(source, change)

    def keep(self, source: str, position: Position) -> None:
        """Keep the position that an operator is about to leave, whatever comes after it."""

        def change(entries: list[_Entry]) -> None:
            if entries and _position(entries[0]) == position:
                entries[0] = msgspec.structs.replace(entries[0], by_hand=True)
            else:
                self._put(entries, position, by_hand=True)

        self._change(source, change)

    def _put(self, entries: list[_Entry], position: Position, *, by_hand: bool = False) -> None:
        number = entries[0].number + 1 if entries else 1
        now_ms = int(self._clock() * 1000)
        entries.insert(0, _Entry(now_ms, position.last_timestamp, position.cursor, number, by_hand))

    def _change(self, source: str, change: Callable[[list[_Entry]], None]) -> None:
        for _ in attempts(self._store.describe(history_key(source))):
            entries, version = self._load(source)
            change(entries)
            try:
                self._store.write(history_key(source), _encode(thinned(entries)), expected=version)
            except WriteConflict:
                continue
            return

    def _load(self, source: str) -> tuple[list[_Entry], str | None]:
        stored = self._store.read(history_key(source))
        if stored is None:
            return [], None
        try:
            return _read_entries(stored.data), stored.version
        except msgspec.DecodeError as error:
            where = self._store.describe(history_key(source))
            raise StateError(f"{where} is damaged ({error}); remove it, a new history begins") from error


def thinned(entries: list[_Entry]) -> list[_Entry]:
    """The newest as they are, then the newest of each hour and those left by hand, at most MAX_POSITIONS in all."""
    kept = entries[:RECENT_POSITIONS]
    hours = set()
    for entry in entries[RECENT_POSITIONS:]:
        hour = entry.saved_at_ms // _HOUR_MS
        if hour not in hours or entry.by_hand:
            hours.add(hour)
            kept.append(entry)
    return kept[:MAX_POSITIONS]


def _position(entry: _Entry) -> Position:
    return Position(entry.last_timestamp, entry.cursor)


def _encode(entries: list[_Entry]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n"


def history_key(source: str) -> str:
    return f"positions/{file_safe(source)}.json"
