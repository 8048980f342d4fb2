"""Rewinds: an operator's order that a source's live collection go on from another position.

The order lies beside the registry, so it reaches a Flicker that runs, one that is stopped, and one on another machine.
It is `ordered`, then `taken` once the sensor's saved cursor carries its id, then `done` once a run from it was
committed; until then a restart, even one that lost its disk, finds it again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Literal

import msgspec

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.readers import reader
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.stores import ANYTHING, Store
from flicker_dagster.types import Position

Stage = Literal["ordered", "taken", "done"]


class Rewind(msgspec.Struct, frozen=True):
    """One order. `redeliver` ships everything again up to where collection stood."""

    id: str
    last_timestamp: str
    cursor: str | None
    redeliver: bool
    ordered_at_ms: int
    stage: Stage = "ordered"

    @property
    def position(self) -> Position:
        return Position(self.last_timestamp, self.cursor)


_read_rewind = reader(Rewind)


class Rewinds:
    """The last order of a source, at `rewinds/<source>.json`. A new one replaces one that still stands."""

    def __init__(self, store: Store, source: str, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._key = rewind_key(source)
        self._clock = clock

    def standing(self) -> Rewind | None:
        """The order that is not done yet. Raises StateError."""
        found = self._load()[0]
        return None if found is None or found.stage == "done" else found

    def order(self, position: Position, *, redeliver: bool) -> Rewind:
        """Write an order down. Raises StateError."""
        assert position.last_timestamp is not None
        now_ms = int(self._clock() * 1000)
        rewind = Rewind(uuid.uuid4().hex[:12], position.last_timestamp, position.cursor, redeliver, now_ms)
        self._store.write(self._key, msgspec.json.encode(rewind), expected=ANYTHING)
        return rewind

    def advance(self, rewind: Rewind, stage: Stage) -> None:
        """Note how far an order has come; nothing changes if another has replaced it. Raises StateError."""
        found, version = self._load()
        if found is None or found.id != rewind.id or found.stage == stage:
            return
        try:
            self._store.write(
                self._key, msgspec.json.encode(msgspec.structs.replace(found, stage=stage)), expected=version
            )
        except WriteConflict:
            return  # a newer order, or another replica that noted the same

    def _load(self) -> tuple[Rewind | None, str | None]:
        stored = self._store.read(self._key)
        if stored is None:
            return None, None
        try:
            return _read_rewind(stored.data), stored.version
        except msgspec.DecodeError as error:
            where = self._store.describe(self._key)
            raise StateError(f"{where} is damaged ({error}); remove it and order the rewind again") from error


def rewind_key(source: str) -> str:
    return f"rewinds/{file_safe(source)}.json"
