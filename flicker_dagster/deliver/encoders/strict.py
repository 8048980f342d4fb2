"""Events as values and as texts inside of other JSON, for destinations whose parsers are strict."""

from __future__ import annotations

import msgspec

from flicker_dagster.lots import Lot

_events = msgspec.json.Decoder(list[msgspec.Raw])
_event = msgspec.json.Decoder(msgspec.Raw)


def as_text(event: bytes) -> bytes:
    """A JSON string that holds the event's text. Bytes that are no UTF-8 are written as `\\xff`."""
    return msgspec.json.encode(event.decode("utf-8", "backslashreplace"))


def strict_string(text: str) -> bytes:
    """A JSON string that any parser reads. Halves of surrogate pairs are written as `\\ud83d`."""
    return as_text(text.encode("utf-8", "backslashreplace"))


def strictly_json(lot: Lot) -> list[bool]:
    """Will any parser read it, and as one value? For each event. Bytes that are no UTF-8, halves of surrogate pairs, raw
    control characters, NaN and very deep nesting are what collectors have to take, and what strict parsers refuse with all
    that is around; what is no single value would become members of what is around it."""
    events = lot.events
    try:
        lot.array.decode("utf-8")  # which the decoder passes over where it need not hand it out
        if list(map(len, _events.decode(lot.array))) == list(map(len, events)):  # type: ignore[arg-type]
            return [True] * len(events)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return [_is_strict(event) for event in events]


def _is_strict(event: bytes) -> bool:
    try:
        event.decode("utf-8")
        _event.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
