"""Lots: frozen portions of events between fetch and deliver, neutral of any destination's format.

A lot's membership and order never change, so that a part of it is named by its places, and the same part is the same
request wherever and whenever it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import accumulate

import msgspec

from flicker_dagster.json_scan import Damaged, compact
from flicker_dagster.lazy import lazy

#: Hex digits of a lot's id, a request's key and an event's uid.
ID_BYTES = 16

Spans = list[tuple[int, int]]


class Lot:
    """Events of one frozen lot, all of them or a part; columns run parallel.

    `array` is the JSON array of the events, byte for byte and without spaces between them; it is asked for when the bytes
    are first needed. `places` say where the events stand in the frozen lot. `schema` is `vendor` for the vendor's own
    bytes, else what the events were normalised to; `shape` is the fingerprint of what was changed, empty for nothing.
    """

    __slots__ = (
        "__dict__",
        "_array",
        "_lengths",
        "collected_ms",
        "digests",
        "lot_id",
        "packed",
        "places",
        "schema",
        "seq",
        "shape",
        "source",
        "times_ms",
    )

    def __init__(
        self,
        *,
        seq: int,
        lot_id: str,
        source: str,
        collected_ms: int,
        array: Callable[[], bytes],
        lengths: Sequence[int],
        digests: Sequence[bytes],
        times_ms: Sequence[int | None],
        places: Sequence[int] | None = None,
        schema: str = "vendor",
        shape: str = "",
        packed: bytes | None = None,
    ) -> None:
        self.packed = packed
        self.seq = seq
        self.lot_id = lot_id
        self.source = source
        self.collected_ms = collected_ms
        self._array = array
        self._lengths = lengths
        self.digests = digests
        self.times_ms = times_ms
        self.places = range(len(digests)) if places is None else places
        self.schema = schema
        self.shape = shape

    @classmethod
    def of(
        cls,
        events: Sequence[bytes],
        *,
        digests: Sequence[bytes],
        times_ms: Sequence[int | None],
        source: str,
        collected_ms: int,
        seq: int = 0,
        lot_id: str | None = None,
        places: Sequence[int] | None = None,
        schema: str = "vendor",
        shape: str = "",
    ) -> Lot:
        """A lot of events at hand."""
        return cls(
            seq=seq,
            lot_id=lot_id or lot_id_of(source, digests),
            source=source,
            collected_ms=collected_ms,
            array=lambda: b"[%b]" % b",".join(events),
            lengths=[len(event) for event in events],
            digests=digests,
            times_ms=times_ms,
            places=places,
            schema=schema,
            shape=shape,
        )

    def __len__(self) -> int:
        return len(self.digests)

    @lazy
    def array(self) -> bytes:
        """The events as a JSON array."""
        return self._array()

    @lazy
    def events(self) -> list[bytes]:
        """Each event's bytes."""
        text, ends = self.array, list(accumulate(self._lengths))
        return [
            text[end + place + 1 - length : end + place + 1]
            for place, (end, length) in enumerate(zip(ends, self._lengths))
        ]

    @lazy
    def unbroken(self) -> Sequence[bytes | None]:
        """Each event without line breaks, see `one_line`; they are looked for in all of them at once."""
        if b"\n" in self.array or b"\r" in self.array:
            return [one_line(event) for event in self.events]
        return self.events

    @lazy
    def lines(self) -> bytes | None:
        """The events as NDJSON, each line ended, white space with line breaks left out; None where one is in a string."""
        if b"\n" in self.array or b"\r" in self.array:
            lines = self.unbroken
            return None if None in lines else b"\n".join((*lines, b""))  # type: ignore[arg-type]
        text = bytearray(self.array)
        at = 0
        for length in self._lengths:
            at += length + 1
            text[at] = 0x0A  # the comma behind an event, or the array's end
        return bytes(memoryview(text)[1:])

    @lazy
    def size_bytes(self) -> int:
        """Bytes of the events as a JSON array."""
        return sum(self._lengths) + len(self._lengths) + 1

    @lazy
    def uids(self) -> list[str]:
        """An id of each event that no event of any other stream has: 32 hex digits, the same in every destination."""
        key = self.source.encode()[:64]
        return [blake2b(digest, digest_size=ID_BYTES, key=key).hexdigest() for digest in self.digests]

    def time_ms(self, index: int) -> int:
        """An event's own time, or that of its collection where it has none."""
        found = self.times_ms[index]
        return self.collected_ms if found is None else found

    def part(self, indices: Sequence[int]) -> Lot:
        """The events at these indices (of this object, ascending) as a lot of the same id."""
        if len(indices) == len(self):
            return self
        return Lot(
            seq=self.seq,
            lot_id=self.lot_id,
            source=self.source,
            collected_ms=self.collected_ms,
            array=lambda: b"[%b]" % b",".join([self.events[i] for i in indices]),
            lengths=[self._lengths[i] for i in indices],
            digests=[self.digests[i] for i in indices],
            times_ms=[self.times_ms[i] for i in indices],
            places=[self.places[i] for i in indices],
            schema=self.schema,
            shape=self.shape,
        )

    def with_events(self, events: Sequence[bytes], *, shape: str, schema: str | None = None) -> Lot:
        """The same places, ids and times with other bytes: what was kept, dropped, masked or normalised. `shape` is the
        fingerprint of the rules that made them."""
        return Lot.of(
            events,
            digests=self.digests,
            times_ms=self.times_ms,
            source=self.source,
            collected_ms=self.collected_ms,
            seq=self.seq,
            lot_id=self.lot_id,
            places=self.places,
            schema=schema or self.schema,
            shape=shape,
        )

    def key(self, encoding: str) -> str:
        """The name of the request that these events make: 32 hex digits, never the same for two bodies.

        `encoding` is everything that shapes the body beside the events: format, names, compression.
        """
        part = ",".join(f"{start}-{stop}" for start, stop in spans_of(self.places))
        text = "\x00".join((self.lot_id, part, self.shape, encoding))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=ID_BYTES).hexdigest()


class Receipt(msgspec.Struct, frozen=True):
    """The events were taken, and whether they are safe is asked later, by `Destination.confirm`.

    `token` is all that is needed to ask, JSON-ready and free of secrets: it is written to the journal. Nobody asks before
    `ask_after_s`; after `expires_s` the same request is sent again. Both count from the answer.
    """

    token: str
    ask_after_s: float
    expires_s: float
    status: str = ""


class Awaiting(msgspec.Struct, frozen=True):
    """A part of a lot that was taken, and the receipt for it; `at_ms` is when. The part is read when it is asked for: that of
    a queue on the disk raises StateError where it is damaged."""

    read: Callable[[], Lot]
    receipt: Receipt
    at_ms: int

    @property
    def lot(self) -> Lot:
        return self.read()


def lot_id_of(source: str, digests: Sequence[bytes] | bytes) -> str:
    """The same events of the same stream always make the same lot id, on whichever machine."""
    joined = digests if isinstance(digests, bytes) else b"".join(digests)
    return blake2b(joined, digest_size=ID_BYTES, key=source.encode()[:64]).hexdigest()


def one_line(event: bytes) -> bytes | None:
    """The event without line breaks: white space outside of strings is left out. None where one stands in a string (which
    is no JSON), or the event is none."""
    if b"\n" not in event and b"\r" not in event:
        return event
    try:
        event = compact(event)
    except (Damaged, ValueError):
        return None
    return None if b"\n" in event or b"\r" in event else event


def spans_of(places: Sequence[int]) -> Spans:
    """Ascending places as half-open spans."""
    if isinstance(places, range):
        return [(places.start, places.stop)] if len(places) else []
    spans: Spans = []
    for place in places:
        if spans and spans[-1][1] == place:
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return spans
