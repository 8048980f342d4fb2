"""What came in one request to a SIEM: events, out of their envelopes, with what is shown of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from flicker_dagster.simulator.vendor import value_at
from flicker_dagster.times import parse_time_ms

TIME_FIELDS = ("published", "@timestamp", "CreatedDate", "time", "timestamp")
#: Where vendors say what happened.
WHAT_FIELDS = (
    "displayMessage",
    "action",
    "Display",
    "type",
    "message",
    "event.name",
    "Operation",
    "operation_detail",
    "category",
)

_array = msgspec.json.Decoder(list[dict[str, Any]])
_line = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Arrival:
    """One event; `source` is that of its envelope, None where it came in none. `time_ms` is None where no time is found."""

    event: dict[str, Any]
    source: str | None
    time_ms: int | None
    what: str


def arrivals_of(body: bytes) -> list[Arrival]:
    """The events of a JSON array or of lines. Raises msgspec.DecodeError."""
    if body.lstrip()[:1] == b"[":
        found = _array.decode(body)
    else:
        found = [_line.decode(line) for line in body.split(b"\n") if line.strip()]
    return [_arrival(each) for each in found]


def _arrival(received: dict[str, Any]) -> Arrival:
    inner, source = received.get("event"), received.get("source")
    if not isinstance(inner, dict) or not isinstance(source, str):
        return Arrival(received, None, parse_time_ms(first_of(received, TIME_FIELDS)), _what(received))
    message = received.get("message")
    what = _what(inner) if message is None else str(message)
    return Arrival(inner, source, parse_time_ms(received.get("time")), what)


def _what(event: dict[str, Any]) -> str:
    return str(first_of(event, WHAT_FIELDS) or "event")


def first_of(event: dict[str, Any], fields: tuple[str, ...]) -> Any:
    """The value of the first of these (dotted) fields that has one."""
    return next((value for field in fields if (value := value_at(event, field)) is not None), None)
