"""Request bodies for the collector: JSON objects behind one another, or lines of text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from flicker_dagster.config.destinations.splunk_hec import EVENT_UID
from flicker_dagster.deliver.encoders.strict import as_text, strictly_json
from flicker_dagster.deliver.encoders.texts import rfc3339
from flicker_dagster.json_scan import read_value
from flicker_dagster.lots import Lot, one_line

_OBJECT_OR_STRING = (b"{", b'"')


class EventBodies:
    """`{"time", …metadata, "fields", "event"}` per event (Splunk: "Format events for HTTP Event Collector").

    `time` is seconds of the epoch with three decimals, made of whole milliseconds. `event` is the vendor's bytes; what is
    not strictly JSON, or no object, is sent as text, because one such event would cost its neighbours the request.
    """

    content_type = "application/json"

    def __init__(self, metadata: Mapping[str, str], fields: Mapping[str, str | list[str]]) -> None:
        described = b"".join(b",%b:%b" % (_json(name), _json(value)) for name, value in metadata.items())
        self._before_uid = b'%b,"fields":{"%b":"' % (described, EVENT_UID.encode())
        more = b"".join(b",%b:%b" % (_json(name), _json(value)) for name, value in fields.items())
        self._before_event = b'"%b},"event":' % more

    @property
    def overhead_bytes(self) -> int:
        """Bytes that an event costs beside its own, as long as it is not sent as text."""
        return len(self._before_uid) + len(self._before_event) + len('{"time":1234567890.123}\n') + 32

    def body(self, lot: Lot) -> bytes:
        before_uid, before_event = self._before_uid, self._before_event
        return b"\n".join(
            [
                b'{"time":%d.%03d%b%b%b%b}'
                % (*divmod(lot.time_ms(i), 1_000), before_uid, uid.encode(), before_event, event)
                for i, (uid, event) in enumerate(zip(lot.uids, as_values(lot)))
            ]
        )


class RawBodies:
    """A line per event, its time and id in front unless they are to be `bare`."""

    content_type = "text/plain; charset=utf-8"

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    @property
    def overhead_bytes(self) -> int:
        return 1 if self._bare else len(f"2026-01-01T00:00:00.000Z {EVENT_UID}= \n") + 32

    def body(self, lot: Lot) -> bytes:
        """Raises ValueError for an event that is no line."""
        lines = lot.lines
        if lines is None:
            raise ValueError("an event has a line break in one of its strings, which no line can hold")
        if self._bare:
            return lines
        stamps = [
            b"%b %b=%b " % (rfc3339(lot.time_ms(i)), EVENT_UID.encode(), uid.encode()) for i, uid in enumerate(lot.uids)
        ]
        return b"".join([stamp + line for stamp, line in zip(stamps, lines.splitlines(keepends=True))])


def unfit_reason(event: bytes, *, at_most_bytes: int, as_line: bool) -> str | None:
    """Why Splunk can never hold an event, or None. What it would refuse is not sent, because it refuses the others too."""
    if len(event) > at_most_bytes:
        return f"{len(event)} bytes, and max_event_bytes is {at_most_bytes}"
    if is_blank(event):
        return "it is blank, and Splunk takes no blank events"
    if as_line and one_line(event) is None:
        return "it has a line break in one of its strings, which no line can hold; format: event can"
    return None


def is_blank(event: bytes) -> bool:
    """Is it null, nothing, or a text of nothing but white space?"""
    if event.startswith(b"{"):
        return False
    text = event.decode("utf-8", "backslashreplace").strip()
    if not text.startswith('"'):
        return text in ("", "null")
    value = read_value(event.strip())
    return isinstance(value, str) and not value.strip()


def as_values(lot: Lot) -> list[bytes]:
    """Each event as the collector can read it: a JSON object or a string."""
    return [
        event if strict and event.startswith(_OBJECT_OR_STRING) else as_text(event)
        for event, strict in zip(lot.events, strictly_json(lot))
    ]


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
