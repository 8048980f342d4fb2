"""Notes of committed events, in a topic of their own: written inside of each transaction, looked up before one is repeated.

A note is as visible as the events it stands for: it names their lot and their places in it, so that they are known again
in whatever parts the lot is sent later. Its timestamp is the time at which the lot was collected, which never changes; so
the notes that may tell of a lot begin at the first one that is not earlier, and nothing before has to be read: but for a
while, in which another machine may have collected the same lot. All notes of a transactional id lie in one partition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import msgspec

from flicker_dagster.deliver.kafka.client import Settings
from flicker_dagster.deliver.kafka.errors import BLOCKED
from flicker_dagster.lots import Lot, Spans, spans_of
from flicker_dagster.transport.deadlines import Deadline

#: How long one look for further notes takes at most.
POLL_S = 0.5
PAUSE_S = 0.1


class Unreadable(Exception):
    """The notes cannot be read; `error` is librdkafka's."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


class Held(Exception):
    """Somebody else's transaction is open in front of the newest notes."""


class Note(msgspec.Struct, frozen=True):
    """The value of a record: these places of this lot were committed to this topic. `stream` is for people who read it."""

    topic: str
    lot: str
    places: Spans
    stream: str = ""

    @classmethod
    def of(cls, lot: Lot, *, topic: str) -> Note:
        return cls(topic, lot.lot_id, spans_of(lot.places), lot.source)


_read_note = msgspec.json.Decoder(Note).decode
write_note = msgspec.json.Encoder().encode


class Progress:
    """The notes of one transactional id, as far as they were read. Only its current producer adds to them."""

    def __init__(
        self,
        library: Any,
        settings: Settings,
        *,
        topic: str,
        partitions: int,
        transactional_id: str,
        lookback_ms: int,
    ) -> None:
        self._lookback_ms = lookback_ms
        self._library = library
        self._settings = settings
        self.topic = topic
        self.partition = crc32(transactional_id.encode()) % partitions
        self.key = transactional_id.encode()
        self._committed: dict[tuple[str, str], Spans] = {}
        self._since_ms: int | None = None

    def committed(self, lot: Lot, *, topic: str, deadline: Deadline) -> list[int]:
        """The indices of a lot's events that were committed before. Raises Unreadable, Held."""
        since_ms = max(1, note_time_ms(lot) - self._lookback_ms)
        if self._since_ms is None or since_ms < self._since_ms:
            self._read(since_ms, deadline)
            self._since_ms = since_ms
        return _inside(lot.places, self._committed.get((topic, lot.lot_id), []))

    def add(self, note: Note) -> None:
        self._committed.setdefault((note.topic, note.lot), []).extend((start, stop) for start, stop in note.places)

    def _read(self, since_ms: int, deadline: Deadline) -> None:
        kafka = self._library
        reader = kafka.Consumer(self._settings)
        try:
            offset = self._offset_at(reader, since_ms, deadline)
            reader.assign([kafka.TopicPartition(self.topic, self.partition, offset)])
            self._read_to_the_end(reader, deadline)
        except kafka.KafkaException as error:
            raise Unreadable(error.args[0]) from None
        finally:
            reader.close()

    def _offset_at(self, reader: Any, since_ms: int, deadline: Deadline) -> int:
        """Of the first note that is not earlier. Where none is that late, the end: what lies behind it belongs to transactions
        that are still open. A partition may be on its way to another broker: asked again until the deadline."""
        kafka = self._library
        place = kafka.TopicPartition(self.topic, self.partition, since_ms)
        while True:
            try:
                (found,) = reader.offsets_for_times([place], timeout=max(0.001, deadline.left_s))
                error = found.error
            except kafka.KafkaException as raised:
                found, error = None, raised.args[0]
            if found is not None and error is None:
                return found.offset if found.offset >= 0 else kafka.OFFSET_END
            if error.name() in BLOCKED or deadline.left_s <= PAUSE_S:
                raise Unreadable(error)
            reader.poll(PAUSE_S)

    def _read_to_the_end(self, reader: Any, deadline: Deadline) -> None:
        kafka = self._library
        place = kafka.TopicPartition(self.topic, self.partition)
        is_held = False
        while deadline.left_s > 0:
            found = reader.poll(max(0.001, min(POLL_S, deadline.left_s)))  # below zero it would wait for ever
            if found is None:
                continue
            error = found.error()
            if error is None:
                self._heed(found)
            elif error.code() == kafka.KafkaError._PARTITION_EOF:
                _, end = reader.get_watermark_offsets(place, cached=True)
                if found.offset() >= end:
                    return
                is_held = True
            elif not error.retriable() and error.name() != "GROUP_AUTHORIZATION_FAILED":  # no group is used
                raise Unreadable(error)
        if is_held:
            raise Held
        raise Unreadable(kafka.KafkaError(kafka.KafkaError._TIMED_OUT))

    def _heed(self, record: Any) -> None:
        if record.key() != self.key:
            return
        try:
            self.add(_read_note(record.value() or b""))
        except msgspec.MsgspecError as error:
            raise Unreadable(self._library.KafkaError(self._library.KafkaError._BAD_MSG, str(error))) from None


def note_time_ms(lot: Lot) -> int:
    """The timestamp of a lot's notes."""
    return max(1, lot.collected_ms)


def _inside(places: Sequence[int], spans: Spans) -> list[int]:
    """The indices of the places that lie in one of the spans."""
    if not spans:
        return []
    ordered = sorted(spans)
    starts = [start for start, _ in ordered]
    found = []
    for index, place in enumerate(places):
        at = bisect_right(starts, place) - 1
        if at >= 0 and place < ordered[at][1]:
            found.append(index)
    return found
