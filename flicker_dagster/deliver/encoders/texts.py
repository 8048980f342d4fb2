"""Texts that several encoders write: an event as a JSON string, and times."""

from __future__ import annotations

import json
from functools import lru_cache

import msgspec

from flicker_dagster.json_scan import is_one_value
from flicker_dagster.json_text import as_text
from flicker_dagster.times import rfc3339_ms

_encode = msgspec.json.Encoder().encode
_whole = msgspec.json.Decoder(msgspec.Raw)


def json_string(text: bytes) -> bytes:
    """Bytes of text as a JSON string that gives them back byte for byte.

    Bytes that are no UTF-8 become the escapes of lone surrogates (`\\udc80` to `\\udcff`), as Python's `surrogateescape`
    has them: JSON text holds no others.
    """
    try:
        return _encode(text.decode())
    except UnicodeDecodeError:
        return json.dumps(as_text(text)).encode()


def json_value(text: bytes) -> bytes:
    """Bytes that are to stand in JSON: as they are where they are one value, else as a string."""
    return text if stands_alone(text) else json_string(text)


def stands_alone(text: bytes) -> bool:
    """Is this one JSON value? Put among other members, what is not would be members of its own."""
    try:
        _whole.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # what no strict decoder reads may be one
        return is_one_value(text)
    return True


def json_text(text: str) -> bytes:
    """A text as a JSON string, lone surrogates as their escapes."""
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def rfc3339(ms: int) -> bytes:
    """`2026-05-02T09:14:07.120Z`."""
    return b"%b%02d.%03dZ" % (_minute(ms // 60_000), ms // 1_000 % 60, ms % 1_000)


@lru_cache(4_096)  # events share their minutes, and a date costs more to write than all else of a row
def _minute(minutes: int) -> bytes:
    return rfc3339_ms(minutes * 60_000)[:-7].encode()
