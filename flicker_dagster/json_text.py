"""JSON as vendors really send it: read where a strict decoder gives up, because an event must not stop its source.

Lone surrogate escapes (a user agent cut inside an emoji), bytes that are no UTF-8, and numbers beyond a double all occur
in audit logs. Nothing in here changes an event; it only lets us look at one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

#: Longer whole numbers stay text: Python refuses to convert them, and no id or time is one.
LONGEST_NUMBER = 400


def read_json(text: bytes) -> Any:
    """The value of JSON text; bad UTF-8, lone surrogates and raw control characters stay as they are, and NaN is a number.

    Raises ValueError or RecursionError.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return json.loads(as_text(text), parse_int=_whole, strict=False)


def array_of(values: Sequence[bytes | msgspec.Raw]) -> bytes:
    """JSON texts as one array."""
    if len(values) < 2:
        return b"[%b]" % b"".join(values)
    # The brackets go to the outer values, so that megabytes are put together once and not copied again.
    return b",".join((b"[" + bytes(values[0]), *values[1:-1], bytes(values[-1]) + b"]"))


def as_text(text: bytes) -> str:
    """Bytes as text that keeps apart what differs: bytes that are no UTF-8 become lone surrogates."""
    return text.decode("utf-8", "surrogateescape")


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST_NUMBER else digits
