"""What is remembered of a source's walks beyond a run and a machine: which configuration its cursor belongs to, and what
reading a window takes."""

from __future__ import annotations

from typing import Any

import msgspec

from flicker_dagster.readers import reader
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.stores import ANYTHING, Store


class WindowCost(msgspec.Struct, frozen=True):
    """What reading a window of `size_ms` took, in the mean of the last `counted`: requests, and seconds for each of them."""

    size_ms: int
    requests: float
    request_s: float
    counted: int


class WalkNotes(msgspec.Struct, frozen=True):
    """None where nothing is known. The shapes are fingerprints (`collect.shape`):

    `cursor_shape` is the configuration that made the cursor in the registry, `paging_shape` the one under which an
    answer held what names the next page.
    """

    cursor_shape: str | None = None
    paging_shape: str | None = None
    window: WindowCost | None = None


_read_notes = reader(WalkNotes)


def notes_key(source: str) -> str:
    return f"walks/{file_safe(source)}.json"


class WalkNotebook:
    """The notes of one source, at `walks/<source>.json`. What cannot be read counts as not known."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._key = notes_key(source)

    def read(self) -> WalkNotes:
        """Raises StateError where the store cannot be reached."""
        stored = self._store.read(self._key)
        if stored is None:
            return WalkNotes()
        try:
            return _read_notes(stored.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return WalkNotes()

    def note(self, **found: Any) -> None:
        """Write down what changed. Raises StateError."""
        notes = self.read()
        noted = msgspec.structs.replace(notes, **found)
        if noted != notes:
            self._store.write(self._key, msgspec.json.encode(noted), expected=ANYTHING)
