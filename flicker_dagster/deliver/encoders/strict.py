"""Events as values and as texts inside of other JSON, for destinations whose parsers are strict."""

from __future__ import annotations

import msgspec

from flicker_dagster.lots import Lot

_events = msgspec.json.Decoder(list[msgspec.Raw])
_event = msgspec.json.Decoder(msgspec.Raw)


def as_text(event: bytes) -> bytes:
    """A JSON string that holds the event's text. Bytes that are no UTF-8 are written as `\\xff`."""
    return msgspec.json.encode(event.decode("utf-8", "backslashreplace"))


def strictly_json(lot: Lot) -> list[bool]:
    """Will any parser read it? For each event. Bytes that are no UTF-8, halves of surrogate pairs, raw control characters,
    NaN and very deep nesting are what collectors have to take, and what strict parsers refuse with all that is around."""
    if _is_strict(lot.array, _events):
        return [True] * len(lot)
    return [_is_strict(event, _event) for event in lot.events]


def _is_strict(text: bytes, decoder: msgspec.json.Decoder) -> bool:
    try:
        decoder.decode(text)
        text.decode("utf-8")  # which the decoder passes over where it need not hand it out
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
