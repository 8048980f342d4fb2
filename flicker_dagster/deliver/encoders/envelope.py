"""Envelopes: `{"id", "time", "source", "message"?, "event"}`, as a JSON array or line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.lots import Lot, one_line
from flicker_dagster.times import rfc3339_ms


class Envelope:
    """Each event, byte for byte, with what a receiver wants to know beside it.

    `id` is the event's digest in hex, unique within `source`; `time` is the event's own, or that of its collection where it
    has none; `message` is what lies at `message_field`, left out where nothing does.
    """

    content_type = "application/json"

    def __init__(self, message_field: str | None = None) -> None:
        self._message = None if message_field is None else MessageField(message_field)
        self.encoding = "envelope" if message_field is None else f"envelope {json.dumps(message_field)}"

    def encode(self, lot: Lot) -> bytes:
        return b"[%b]" % b",".join(self.records(lot))

    def records(self, lot: Lot) -> list[bytes]:
        """One envelope for each event."""
        source = json.dumps(lot.source).encode()
        return [
            b'{"id":"%b","time":"%b%03dZ","source":%b%b,"event":%b}'
            % (
                digest.hex().encode(),
                _second(ms // 1_000),
                ms % 1_000,
                source,
                b"" if self._message is None else _member(self._message.of(event)),
                event,
            )
            for digest, ms, event in zip(lot.digests, map(lot.time_ms, range(len(lot))), lot.events)
        ]

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return {}


class EnvelopeLines(Envelope):
    """One envelope per line, each line ended (NDJSON)."""

    content_type = "application/x-ndjson"

    def __init__(self, message_field: str | None = None) -> None:
        super().__init__(message_field)
        self.encoding = f"lines {self.encoding}"

    def encode(self, lot: Lot) -> bytes:
        lines = [one_line(record) for record in self.records(lot)]
        if None in lines:
            raise ValueError("it holds an event with a line break in the middle of a value")
        return b"\n".join((*lines, b""))  # type: ignore[arg-type]

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return NdJson().unfit(lot)


def _member(message: object) -> bytes:
    return b"" if message is None else b',"message":' + json.dumps(message).encode()


@lru_cache(4_096)  # events share their seconds, and a time costs more to write than all else here
def _second(seconds: int) -> bytes:
    """`2026-05-02T09:14:07.`: RFC 3339 up to the milliseconds."""
    return rfc3339_ms(seconds * 1_000)[:-4].encode()
