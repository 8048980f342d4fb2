"""Dead letters: events the SIEM will never accept, kept byte for byte with the reason, ready to be replayed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import groupby

import msgspec

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.failpoints import reach
from flicker_dagster.readers import reader
from flicker_dagster.state.lane_book import stored_as
from flicker_dagster.state.names import file_safe, from_file_safe
from flicker_dagster.state.stores import Store
from flicker_dagster.types import DeadLetter

_ROOT = "dead-letters/"


class _Line(msgspec.Struct, omit_defaults=True):
    """A dead letter as a line of JSON: readable text where the event is text, base64 where it is not."""

    reason: str
    status: str
    lot_id: str = msgspec.field(name="batch_id")  # as earlier versions wrote it
    digest: str
    destination: str
    at_ms: int
    event_time_ms: int | None = None
    event: str | None = None
    event_base64: str | None = None


_read_line = reader(_Line)


class DeadLetters:
    """Objects `dead-letters/<stream>[@lane]/<day>/<lot id>-<ids>-<count>.jsonl`.

    The name follows from the lot and the events in it, so that a delivery that is repeated after a crash writes
    the same object again. An id, as `list` gives it, is what stands behind the source.
    """

    def __init__(self, store: Store, source: str, lane: str = "") -> None:
        self._store = store
        self._prefix = f"{_ROOT}{stored_as(source, lane)}/"

    def add(self, letters: list[DeadLetter]) -> list[str]:
        """Keep events, one object per lot; gives the objects' ids. Adding the same again changes nothing.

        Raises StateError; some lots may then be written and others not, and adding all again completes it.
        """

        def by_lot(letter: DeadLetter) -> str:
            return letter.lot_id

        return [self._add(list(group)) for _, group in groupby(sorted(letters, key=by_lot), key=by_lot)]

    def count(self) -> int:
        """How many events are kept; reads names only. Raises StateError."""
        return sum(events_in(letter_id) for letter_id in self._ids())

    def read(self, letter_id: str) -> list[DeadLetter]:
        """The events of one object. Raises StateError if it is not there or damaged."""
        where = self.describe(letter_id)
        stored = self._store.read(self._prefix + letter_id)
        if stored is None:
            raise StateError(f"{where} does not exist; `list` names those that do")
        try:
            return [_letter(line) for line in stored.data.splitlines()]
        except (msgspec.DecodeError, ValueError) as error:
            raise StateError(f"{where} is damaged: {error}; restore it from a copy or remove it") from error

    def drop(self, letter_id: str) -> None:
        """Remove one object; harmless if it is gone. Raises StateError."""
        self._store.delete(self._prefix + letter_id)

    def move_to(self, source: str, lane: str = "") -> int:
        """Keep all objects under another source's name from now on; gives their number. Moving again completes what was
        interrupted. Raises StateError."""
        prefix, moved = f"{_ROOT}{stored_as(source, lane)}/", 0
        for letter_id in self.list():
            stored = self._store.read(self._prefix + letter_id)
            if stored is not None:
                with suppress(WriteConflict):  # written before a crash
                    self._store.write(prefix + letter_id, stored.data, expected=None)
            self.drop(letter_id)
            moved += 1
        return moved

    def describe(self, letter_id: str) -> str:
        """An object as a user knows it: a path or `s3://bucket/key`."""
        return self._store.describe(self._prefix + letter_id)

    def _add(self, letters: list[DeadLetter]) -> str:
        name = _name(letters)
        today, yesterday = _days(letters[0].at_ms)
        # A delivery that crashed before midnight and is repeated after it must find what it wrote.
        if self._store.read(f"{self._prefix}{yesterday}/{name}") is not None:
            return f"{yesterday}/{name}"
        data = b"".join(_encode(letter) + b"\n" for letter in letters)
        reach("dead_letters.before_write")
        with suppress(WriteConflict):  # written before the crash
            self._store.write(f"{self._prefix}{today}/{name}", data, expected=None)
        reach("dead_letters.after_write")
        return f"{today}/{name}"

    def _ids(self) -> Iterator[str]:
        return (key[len(self._prefix) :] for key in self._store.list(self._prefix))

    def list(self) -> list[str]:
        """Ids of all objects, oldest day first. Raises StateError."""
        return list(self._ids())


def sources_with_dead_letters(store: Store) -> list[str]:
    """Names of the sources of which dead letters are kept, configured or not. Raises StateError."""
    return sorted({from_file_safe(key.split("/")[1].partition("@")[0]) for key in store.list(_ROOT)})


def _name(letters: list[DeadLetter]) -> str:
    ids = hashlib.blake2b("".join(letter.digest for letter in letters).encode(), digest_size=6).hexdigest()
    return f"{file_safe(letters[0].lot_id)}-{ids}-{len(letters)}.jsonl"


def events_in(letter_id: str) -> int:
    """How many events an object holds, by its name."""
    count = letter_id.removesuffix(".jsonl").rpartition("-")[2]
    return int(count) if count.isdigit() else 1


def _days(at_ms: int) -> tuple[str, str]:
    day = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at_ms)
    return f"{day:%Y-%m-%d}", f"{day - timedelta(days=1):%Y-%m-%d}"


def _encode(letter: DeadLetter) -> bytes:
    line = _Line(
        reason=letter.reason,
        status=letter.status,
        lot_id=letter.lot_id,
        digest=letter.digest,
        destination=letter.destination,
        at_ms=letter.at_ms,
        event_time_ms=letter.event_time_ms,
    )
    try:
        line.event = letter.event.decode()
    except UnicodeDecodeError:
        line.event_base64 = base64.b64encode(letter.event).decode()
    return msgspec.json.encode(line)


def _letter(data: bytes) -> DeadLetter:
    line = _read_line(data)
    event = base64.b64decode(line.event_base64 or "", validate=True) if line.event is None else line.event.encode()
    return DeadLetter(
        event=event,
        reason=line.reason,
        status=line.status,
        lot_id=line.lot_id,
        digest=line.digest,
        destination=line.destination,
        at_ms=line.at_ms,
        event_time_ms=line.event_time_ms,
    )
