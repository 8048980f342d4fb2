"""One event per line, with its id beside it: `{"event_uid", "time", "source", "message"?, "event"}`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flicker_dagster.deliver.encoders.envelope import member
from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.texts import rfc3339
from flicker_dagster.lots import Lot


class UidLines:
    """Each event, byte for byte but for line breaks between its values, with its id and time beside it: whoever reads an
    object twice can tell by `event_uid`.

    `time` is the event's own, or that of its collection where it has none; `message` is what lies at `message_field`, left
    out where nothing does.
    """

    content_type = "application/x-ndjson"

    def __init__(self, message_field: str | None = None) -> None:
        self._message = None if message_field is None else MessageField(message_field)
        self.encoding = "uid lines" + ("" if message_field is None else f" {json.dumps(message_field)}")

    def encode(self, lot: Lot) -> bytes:
        if None in lot.unbroken:
            raise ValueError("it holds an event with a line break in the middle of a value")
        source = json.dumps(lot.source).encode()
        lines = [
            b'{"event_uid":"%b","time":"%b","source":%b%b,"event":%b}\n'
            % (
                uid.encode(),
                rfc3339(ms),
                source,
                b"" if self._message is None else member(self._message.of(event)),
                line,
            )
            for uid, ms, event, line in zip(lot.uids, map(lot.time_ms, range(len(lot))), lot.events, lot.unbroken)
        ]
        return b"".join(lines)

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events with a raw line break in a string, which is no JSON: it would end the line."""
        if None not in lot.unbroken:
            return {}
        why = "it is not JSON (a raw line break in a string) and cannot stand on a line"
        return {index: why for index, line in enumerate(lot.unbroken) if line is None}
