"""Envelopes: `{"id", "time", "source", "message"?, "event"}`, as a JSON array or line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.deliver.encoders.texts import rfc3339
from flicker_dagster.lots import Lot, one_line


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
            b'{"id":"%b","time":"%b","source":%b%b,"event":%b}'
            % (
                digest.hex().encode(),
                rfc3339(ms),
                source,
                b"" if self._message is None else member(self._message.of(event)),
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


def member(message: object) -> bytes:
    return b"" if message is None else b',"message":' + json.dumps(message).encode()
