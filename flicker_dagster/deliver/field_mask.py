"""What stands in the place of a value that must not be seen: `***` and a keyed digest by which equal values can be joined."""

from __future__ import annotations

import hmac

from flicker_dagster.deliver.json_parts import items_of
from flicker_dagster.json_scan import compact, read_value

#: Hex digits of a digest: 64 bits, so that among a million values no two share one but by a chance of 1 in 30 million.
DIGEST_DIGITS = 16

#: Shorter keys can be tried out.
SHORTEST_KEY_CHARS = 16

#: Arrays in arrays are walked so deep; what lies below becomes one value.
_MOST_LEVELS = 32

_ARRAY = b"["[0]


class FieldMask:
    """Masks JSON values. The digest is HMAC-SHA256 of the value under `key`, cut to 16 hex digits, so that whoever holds
    the key can look for a value they know, and nobody else can try values out.

    A string is digested as its text, whatever escapes spell it; numbers and booleans as they are spelled, so that `"42"` and
    42 are the same; each item of an array by itself; an object as a whole. `null` tells nothing and stays.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode("utf-8", "surrogatepass")

    @property
    def fingerprint(self) -> str:
        """Names the key without telling it."""
        return hmac.digest(self._key, b"flicker mask key", "sha256").hex()[:DIGEST_DIGITS]

    def of(self, raw: bytes, *, levels: int = _MOST_LEVELS) -> bytes:
        """What stands for a value (JSON text without space around it). Raises Damaged."""
        if raw[0] == _ARRAY and levels:
            return b"[%b]" % b",".join([self.of(item, levels=levels - 1) for item in items_of(raw)])
        if raw == b"null":
            return raw
        text = read_value(raw) if raw[:1] == b'"' else None
        told = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else compact(raw)
        return b'"***%b"' % hmac.digest(self._key, told, "sha256").hex()[:DIGEST_DIGITS].encode()
