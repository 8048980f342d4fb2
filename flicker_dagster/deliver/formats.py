"""Request bodies: how events become bytes, and how a frozen body is taken apart again when a batch must be split.

A record is what stands for one event in a body: the vendor's own bytes, or those bytes inside an envelope.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

import msgspec

from flicker_dagster.json_items import items
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_scan import members, value_at
from flicker_dagster.json_text import read_json
from flicker_dagster.times import rfc3339_ms

Buffer = bytes | msgspec.Raw

_records = msgspec.json.Decoder(list[msgspec.Raw])


class Format(Protocol):
    """One way of writing a batch."""

    content_type: str

    def records(
        self, events: Sequence[Buffer], digests: Sequence[bytes], times_ms: Sequence[int | None], *, now_ms: int
    ) -> Sequence[Buffer]:
        """What stands for each event."""
        ...

    def join(self, records: Sequence[Buffer]) -> bytes: ...

    def split(self, body: bytes, count: int | None = None) -> list[bytes]:
        """The records of a body: the inverse of `join`. `count` says how many there are; a lone one may be anything."""
        ...

    def event_of(self, record: bytes) -> bytes:
        """The vendor's bytes in a record."""
        ...


class JsonArray:
    """A JSON array of the vendor's events, byte for byte: the default."""

    content_type = "application/json"

    def records(
        self, events: Sequence[Buffer], digests: Sequence[bytes], times_ms: Sequence[int | None], *, now_ms: int
    ) -> Sequence[Buffer]:
        return events

    def join(self, records: Sequence[Buffer]) -> bytes:
        if len(records) < 2:
            return b"".join((b"[", *records, b"]"))
        # The brackets go to the outer records, so that a body of megabytes is put together once and not copied again.
        return b",".join((b"[" + bytes(records[0]), *records[1:-1], bytes(records[-1]) + b"]"))

    def split(self, body: bytes, count: int | None = None) -> list[bytes]:
        if count == 1:
            return [body[1:-1]]
        try:
            return [bytes(record) for record in _records.decode(body)]
        except (msgspec.DecodeError, RecursionError):  # what collecting takes, no strict decoder need read
            return [body[start:end] for start, end, _ in items(body, 0, b"", most=len(body))[0]]

    def event_of(self, record: bytes) -> bytes:
        return record


class NdJson(JsonArray):
    """One event per line, each line ended."""

    content_type = "application/x-ndjson"

    def join(self, records: Sequence[Buffer]) -> bytes:
        return b"\n".join((*records, b""))

    def split(self, body: bytes, count: int | None = None) -> list[bytes]:
        return [body[:-1]] if count == 1 else body.split(b"\n")[:-1]


class Envelope(JsonArray):
    """A JSON array of `{"id", "time", "source", "message"?, "event"}`; `event` holds the vendor's bytes.

    `time` is the event's own, or that of collection where it has none. `message` is the text of `message_field`.
    """

    def __init__(self, source_name: str, message_field: str | None) -> None:
        self._source = json.dumps(source_name).encode()
        self._message = None if message_field is None else readings(message_field)

    def records(
        self, events: Sequence[Buffer], digests: Sequence[bytes], times_ms: Sequence[int | None], *, now_ms: int
    ) -> Sequence[Buffer]:
        return [
            self._wrap(bytes(event), digest, now_ms if ms is None else ms)
            for event, digest, ms in zip(events, digests, times_ms)
        ]

    def event_of(self, record: bytes) -> bytes:
        start = next(start for name, start, _ in members(record) if name == "event")  # the last member of its record
        return record[start:-1]

    def _wrap(self, event: bytes, digest: bytes, time_ms: int) -> bytes:
        message = self._message_of(event)
        return b'{"id":"%b","time":"%b","source":%b%b,"event":%b}' % (
            digest.hex().encode(),
            rfc3339_ms(time_ms).encode(),
            self._source,
            b"" if message is None else b',"message":' + json.dumps(message).encode(),
            event,
        )

    def _message_of(self, event: bytes) -> object:
        if self._message is None:
            return None
        try:
            return lookup_any(read_json(event), self._message)
        except (ValueError, RecursionError):
            return next((found for parts in self._message if (found := value_at(event, parts)) is not None), None)


def format_of(name: str, *, source_name: str, message_field: str | None) -> Format:
    """The format that `destination.format` names."""
    if name == "envelope":
        return Envelope(source_name, message_field)
    return NdJson() if name == "ndjson" else JsonArray()
