"""What Splunk's HTTP Event Collector says and reads: its codes, and the objects and lines of its bodies.

Codes as in Splunk's "Troubleshoot HTTP Event Collector"; 23 to 27 as several implementations quote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

#: HTTP status and text of each code.
CODES = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
    16: (400, "Query string authorization is not enabled"),
    17: (200, "HEC is healthy"),
    18: (503, "HEC is unhealthy, queues are full"),
    19: (503, "HEC is unhealthy, ack service unavailable"),
    20: (503, "HEC is unhealthy, queues are full, ack service unavailable"),
    21: (400, "Invalid token"),
    22: (400, "Token disabled"),
    23: (503, "Server is shutting down"),
    24: (200, "HEC queue is approaching its capacity limit"),
    25: (200, "HEC ACK is approaching its capacity limit"),
    26: (429, "HEC queue is at capacity and cannot process any more requests"),
    27: (429, "HEC ACK channel is at capacity and cannot process any more requests"),
}

#: The code that usually stands behind a status.
USUAL = {400: 6, 401: 3, 403: 4, 429: 26, 500: 8, 503: 9}

METADATA = ("host", "source", "sourcetype", "index")

_SPACE = re.compile(r"[ \t\r\n]*")
_STAMP = re.compile(rb"(?:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) )?(?:event_uid=(\S+) )?(.*)", re.DOTALL)
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Wrong(Exception):
    """Something about the event at hand is wrong, by this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class HecEvent:
    """One event as it was read: its bytes, its time in milliseconds of the epoch, and what stands beside."""

    event: bytes
    time_ms: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    stamp: str | None = None  # the time in front of a raw line


def read_objects(text: str, defaults: dict[str, str], is_index: Callable[[str], bool]) -> Iterator[HecEvent]:
    """The events of JSON objects that follow one another, with white space between them or without. Raises Wrong where
    reading stops."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    at = _SPACE.match(text).end()  # type: ignore[union-attr]
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise Wrong(6) from None
        if not isinstance(value, dict):
            raise Wrong(6)
        yield _read_object(value, text[at:end], defaults, is_index)
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]


def read_lines(body: bytes, defaults: dict[str, str], is_index: Callable[[str], bool]) -> Iterator[HecEvent]:
    """The events of lines. What stands in front of one is read as Splunk would extract it. Raises Wrong."""
    if not is_index(defaults.get("index", "")):
        raise Wrong(7)
    for line in body.split(b"\n"):
        if line.strip():
            stamp, uid, event = _STAMP.fullmatch(line).groups()  # type: ignore[union-attr]
            fields = {} if uid is None else {"event_uid": uid.decode()}
            yield HecEvent(event, None, defaults, fields, None if stamp is None else stamp.decode())


def _read_object(
    value: dict[str, Any], text: str, defaults: dict[str, str], is_index: Callable[[str], bool]
) -> HecEvent:
    if value.get("event") is None:
        raise Wrong(12)
    if isinstance(value["event"], str) and not value["event"].strip():
        raise Wrong(13)
    if not isinstance(value["event"], str | dict):
        raise Wrong(6)
    fields = value.get("fields", {})
    if not isinstance(fields, dict) or not all(map(_is_flat, fields.values())):
        raise Wrong(15)
    metadata = defaults | {name: value[name] for name in METADATA if name in value}
    if not all(isinstance(each, str) for each in metadata.values()):
        raise Wrong(6)
    if not is_index(metadata.get("index", "")):
        raise Wrong(7)
    return HecEvent(bytes(_raw.decode(text)["event"]), _time_ms(value.get("time")), metadata, fields)


def _is_flat(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _time_ms(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong(6)
    try:
        return int(Decimal(str(value)) * 1000)
    except (InvalidOperation, ValueError, OverflowError):
        raise Wrong(6) from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)
