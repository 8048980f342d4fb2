"""Which lanes a stream has, where each one's state lies, and from when on it delivers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.readers import reader
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.stores import Store

log = logging.getLogger("flicker.state")


class LanePlace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A lane as the state knows it.

    `storage` stands behind the stream's name where its ledger and dead letters lie, empty for the first lane a stream ever
    had. It delivers what happened from `since_ms` on (None: everything that is collected); what lies before is a matter of
    backfills.
    """

    storage: str = ""
    since_ms: int | None = None


class _Book(msgspec.Struct, frozen=True):
    version: int = 1
    lanes: dict[str, LanePlace] = {}


_read_book = reader(_Book)


def book_key(stream: str) -> str:
    return f"lanes/{file_safe(stream)}.json"


def books_of(store: Store) -> list[str]:
    """The streams that have a book, spelt as files. Raises StateError."""
    return [key.removeprefix("lanes/").removesuffix(".json") for key in store.list("lanes/")]


def stored_as(stream: str, storage: str) -> str:
    """The folder of a lane below `ledger/` and `dead-letters/`. The `@` is no letter of a stream's name there."""
    return f"{file_safe(stream)}@{file_safe(storage)}" if storage else file_safe(stream)


class LaneBook:
    """The lanes of one stream, at `lanes/<stream>.json`. A single, unnamed destination needs no book."""

    def __init__(self, store: Store, stream: str) -> None:
        self._store = store
        self._key = book_key(stream)
        self._stream = stream

    def read(self) -> dict[str, LanePlace]:
        """Every lane that is known, configured or not. Raises StateError."""
        return self._load()[0].lanes

    def places(
        self,
        names: Sequence[str],
        *,
        begun: bool,
        since_ms: Mapping[str, int | None],
        heir: str | None = None,
        note: bool = True,
    ) -> dict[str, LanePlace]:
        """Where the configured lanes lie; lanes that are new are written down, unless `note` is false.

        `begun` says that the stream was collected before, so that a lane that is new now begins at `since_ms`. The state
        that a stream has from before it had several lanes is that of the `heir`, by default the lane named first. Raises
        StateError.
        """
        if list(names) == [""]:
            return {"": LanePlace()}
        for _ in attempts(self._store.describe(self._key)):
            book, version = self._load()
            lanes = dict(book.lanes)
            goes_on = None if lanes else heir or names[0]
            for name in names:
                if name not in lanes:
                    first = name == goes_on
                    lanes[name] = LanePlace("" if first else name, None if first or not begun else since_ms.get(name))
            if note and lanes != book.lanes:
                try:
                    self._store.write(self._key, msgspec.json.encode(_Book(lanes=lanes)), expected=version)
                except WriteConflict:
                    continue
                if begun and goes_on is not None:
                    log.info("%s@%s: goes on with what the single destination had", self._stream, goes_on)
            return {name: lanes[name] for name in names}
        raise AssertionError("attempts() raises when they are used up")

    def forget(self, name: str) -> None:
        """A lane that is no longer configured is known no more. Raises StateError."""
        for _ in attempts(self._store.describe(self._key)):
            book, version = self._load()
            if name not in book.lanes:
                return
            lanes = {other: place for other, place in book.lanes.items() if other != name}
            try:
                self._store.write(self._key, msgspec.json.encode(_Book(lanes=lanes)), expected=version)
            except WriteConflict:
                continue
            return

    def _load(self) -> tuple[_Book, str | None]:
        stored = self._store.read(self._key)
        if stored is None:
            return _Book(), None
        where = self._store.describe(self._key)
        try:
            book = _read_book(stored.data)
        except msgspec.DecodeError as error:
            raise StateError(f"{where} is damaged: {error}; restore it from a copy") from None
        if book.version != 1:
            raise StateError(
                f"{where} has version {book.version}, written by a newer Flicker; 1 is the newest known here"
            )
        return book, stored.version
