"""Membership among millions of 16-byte digests at a few dozen bytes each, without leaving the standard library."""

from __future__ import annotations

#: Bytes of one digest.
SIZE = 16
#: Up to here a plain set: exact, fastest, and about 100 bytes per digest.
COMPACT_ABOVE = 100_000
_BUCKETS = 1 << 16
#: Digests split into objects at a time, so that a large blob does not stand in memory twice.
_CHUNK = 1 << 16


class DigestSet:
    """A set of 16-byte digests that only grows.

    Large sets are spread by the digests' first two bytes over 65,536 byte strings, each searched as text. That takes
    the digests to be hashes: evenly spread, and so random that no digest appears across the seam of two others (one
    chance in 2^128 per byte searched).
    """

    def __init__(self, blob: bytes = b"", *, compact_above: int = COMPACT_ABOVE) -> None:
        self._small: set[bytes] | None = set()
        self._buckets: list[bytes] = []
        self._count = 0
        self._compact_above = compact_above
        if blob:
            self.add_many(blob)

    def __len__(self) -> int:
        return self._count if self._small is None else len(self._small)

    def __contains__(self, digest: bytes) -> bool:
        if self._small is not None:
            return digest in self._small
        return digest in self._buckets[_prefix(digest)]

    def add_many(self, blob: bytes) -> None:
        """Add concatenated digests; known ones stay as they are. Raises ValueError if one is cut short."""
        if len(blob) % SIZE:
            raise ValueError(f"{len(blob)} bytes are no whole number of {SIZE}-byte digests")
        for start in range(0, len(blob), _CHUNK * SIZE):
            self.add(split(blob[start : start + _CHUNK * SIZE]))

    def add(self, digests: list[bytes]) -> None:
        """Add digests that are objects already; known ones stay as they are."""
        if self._small is not None:
            if len(self._small) + len(digests) <= self._compact_above:
                self._small.update(digests)
                return
            self._become_compact()
        self._fill(digests)

    def add_new(self, digests: list[bytes]) -> None:
        """Add digests of which the caller knows that each comes once and none is in the set: nothing is looked up."""
        if self._small is not None:
            self.add(digests)
            return
        buckets = self._buckets
        for digest, prefix in zip(digests, prefixes(b"".join(digests)), strict=True):
            buckets[prefix] += digest
        self._count += len(digests)

    def unknown(self, digests: list[bytes]) -> list[int]:
        """Indices of the digests that are not in the set, in order."""
        small = self._small
        if small is not None:
            if not small:
                return list(range(len(digests)))
            if small.isdisjoint(digests):
                return list(range(len(digests)))
            return [i for i, digest in enumerate(digests) if digest not in small]
        buckets = self._buckets
        return [
            i
            for i, (digest, prefix) in enumerate(zip(digests, prefixes(b"".join(digests)), strict=True))
            if digest not in buckets[prefix]
        ]

    def blob(self) -> bytes:
        """All digests, concatenated, each once, in no particular order."""
        return b"".join(self._buckets if self._small is None else self._small)

    def _become_compact(self) -> None:
        small, self._small = self._small, None
        self._buckets = [b""] * _BUCKETS
        self._fill(list(small or ()))

    def _fill(self, digests: list[bytes]) -> None:
        buckets, added = self._buckets, 0
        for digest, prefix in zip(digests, prefixes(b"".join(digests)), strict=True):
            bucket = buckets[prefix]
            if digest not in bucket:
                buckets[prefix] = bucket + digest
                added += 1
        self._count += added


def split(blob: bytes) -> list[bytes]:
    """Concatenated digests, one by one."""
    return [blob[i : i + SIZE] for i in range(0, len(blob), SIZE)]


def prefixes(blob: bytes) -> list[int]:
    """The first two bytes of each digest as a number, in this machine's byte order (all within one loop of C)."""
    return memoryview(blob).cast("H")[:: SIZE // 2].tolist() if blob else []


def _prefix(digest: bytes) -> int:
    return memoryview(digest).cast("H")[0]
