"""JSON as vendors really send it: read where a strict decoder gives up, because an event must not stop its source.

Lone surrogate escapes (a user agent cut inside an emoji), bytes that are no UTF-8, and numbers beyond a double all occur
in audit logs. Nothing in here changes an event; it only lets us look at one.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

#: Longer whole numbers stay text: Python refuses to convert them, and no id or time is one.
LONGEST_NUMBER = 400

_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


def read_json(text: bytes) -> Any:
    """The value of JSON text, bad UTF-8 and lone surrogates kept as they are. Raises ValueError or RecursionError."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return json.loads(as_text(text), parse_int=_whole)


def as_text(text: bytes) -> str:
    """Bytes as text that keeps apart what differs: bytes that are no UTF-8 become lone surrogates."""
    return text.decode("utf-8", "surrogateescape")


def without_lone_surrogates(text: bytes) -> bytes:
    """The same text, offset by offset, with `\\ufffd` for every escaped surrogate that has no partner."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST_NUMBER else digits
