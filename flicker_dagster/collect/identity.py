"""Event ids as 16-byte digests: of the vendor's id, or of the content where the vendor has none.

Sixteen bytes of BLAKE2b: small enough for a ledger of millions, and nobody who controls an id can make two collide.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from flicker_dagster.json_scan import levels
from flicker_dagster.json_text import as_text

DIGEST_BYTES = 16

#: Taking an event apart goes down level by level on the interpreter's stack, and takes many times its size. Both bounds are
#: far from what the stack and memory allow, so that an event has the same digest wherever it is met.
CANONICAL_LEVELS = 100
CANONICAL_BYTES = 1 << 20

_EMPTY = blake2b(digest_size=DIGEST_BYTES)


def digests_of_texts(ids: list[str]) -> list[bytes]:
    """Digests of plain text ids, the common case. A copy of an empty hash costs less than a new one."""
    digests: list[bytes] = []
    copy, keep = _EMPTY.copy, digests.append
    try:
        for text in ids:
            hashed = copy()
            hashed.update(text.encode())
            keep(hashed.digest())
    except UnicodeEncodeError:  # a lone surrogate
        return [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest() for text in ids]
    return digests


def digest_of_value(value: Any) -> bytes:
    """Digest of an id that is a number or another JSON value; never that of the text which looks the same."""
    if isinstance(value, str):
        return digests_of_texts([value])[0]
    return blake2b(b"\x00" + json.dumps(value).encode(), digest_size=DIGEST_BYTES).digest()


def digest_of_parts(parts: tuple[Any, ...]) -> bytes:
    """Digest of a composite id. The parts are a JSON array, so that ("a", "bc") and ("ab", "c") differ."""
    return blake2b(b"\x01" + json.dumps(parts).encode(), digest_size=DIGEST_BYTES).digest()


class ContentDigests:
    """Digests of whole events, whatever the order of their keys.

    Equal rows are the same event, unless `equal_rows` is `distinct`: then the n-th equal row of a walk is an event of
    its own (LastPass, Zoom and Docker list byte-identical rows that are different events). Equal rows have equal times,
    and so stand together: what a walk that goes on has to know are those of its last time. With `repeats_last` a page
    begins with the row that ended the one before it.
    """

    def __init__(self, *, distinct: bool, repeats_last: bool = False) -> None:
        self._seen: Counter[bytes] | None = Counter() if distinct else None
        self._repeats_last = repeats_last
        self._page: list[bytes] = []
        self._last = b""
        self._begins = False
        self._scope = b""

    def begin(self, scope: bytes) -> None:
        """Count anew, for a listing or object in which equal rows are others than in those of another scope."""
        if self._seen is not None:
            self._seen, self._last, self._scope = Counter(), b"", scope

    def begin_page(self) -> None:
        self._page, self._begins = [], self._repeats_last

    def digest(self, event: bytes) -> bytes:
        digest = blake2b(_canonical_text(event), digest_size=DIGEST_BYTES, key=self._scope).digest()
        if self._seen is None:
            return digest
        if not (self._begins and digest == self._last):
            self._seen[digest] += 1
        self._page.append(digest)
        self._last, self._begins = digest, False
        nth = self._seen[digest]
        return digest if nth == 1 else blake2b(digest + str(nth).encode(), digest_size=DIGEST_BYTES).digest()

    def go_on(self, counted: dict[str, int]) -> None:
        """Count on from what `counted` gave."""
        if self._seen is not None:
            for digest, nth in counted.items():
                self._last = bytes.fromhex(digest)
                self._seen[self._last] = nth

    def counted(self, times_ms: list[int | None]) -> dict[str, int]:
        """How often each row of the page's last time came so far, by digest (hex), the last row behind the others."""
        if self._seen is None or not self._page or len(self._page) != len(times_ms):
            return {}
        of_last_time = [digest for digest, ms in zip(self._page, times_ms) if ms == times_ms[-1]]
        ordered = [*dict.fromkeys(each for each in of_last_time if each != self._last), self._last]
        return {digest.hex(): self._seen[digest] for digest in ordered}


def _canonical_text(event: bytes) -> bytes:
    """What is hashed of an event. One that is no JSON, or too large or too deep to be taken apart, is known by its bytes."""
    too_deep = event.count(b"{") + event.count(b"[") > CANONICAL_LEVELS and levels(event) > CANONICAL_LEVELS
    if not too_deep and len(event) <= CANONICAL_BYTES:
        with suppress(ValueError):
            return b"\x02" + json.dumps(_canonical(event), ensure_ascii=True).encode()
    return b"\x03" + event


def _canonical(event: bytes) -> Any:
    """The event with sorted keys (duplicates kept) and numbers as they are written: nothing is rounded."""
    return json.loads(
        as_text(event),
        object_pairs_hook=lambda pairs: ["object", *sorted(pairs, key=lambda pair: pair[0])],
        parse_float=lambda text: ["number", text],
        parse_int=lambda text: ["number", text],
        strict=False,
    )
