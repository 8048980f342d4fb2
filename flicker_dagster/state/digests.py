"""Membership among millions of 16-byte digests at a few dozen bytes each, without leaving the standard library."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterable

#: Bytes of one digest.
SIZE = 16
#: Up to here a plain set: exact, fastest, and about 100 bytes per digest.
COMPACT_ABOVE = 100_000
#: Buckets by one byte of a digest up to so many digests, by two bytes above.
_NARROW_UPTO = 1 << 15
#: Digests split into objects at a time, so that a large blob does not stand in memory twice.
_CHUNK = 1 << 16


class DigestSet:
    """A set of 16-byte digests that only grows.

    Large sets are spread by the digests' first bytes over 256 or 65,536 byte strings, each searched as text. That takes
    the digests to be hashes: evenly spread, and so random that no digest appears across the seam of two others (one
    chance in 2^128 per byte searched).
    """

    def __init__(self, blob: bytes = b"", *, compact_above: int = COMPACT_ABOVE) -> None:
        self._small: set[bytes] | None = set()
        self._buckets: list[bytes] = []
        self._number_bytes = 2  # a bucket's number: so many bytes of the digest
        self._count = 0
        self._compact_above = compact_above
        if blob:
            self.add_many(blob)

    def __len__(self) -> int:
        return self._count if self._small is None else len(self._small)

    def __contains__(self, digest: bytes) -> bool:
        if self._small is not None:
            return digest in self._small
        return digest in self._buckets[self._numbers([digest])[0]]

    @property
    def is_compact(self) -> bool:
        return self._small is None

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
            self.compact()
        self._fill(digests)

    def add_new(self, digests: list[bytes]) -> None:
        """Add digests of which the caller knows that each comes once and none is in the set: nothing is looked up."""
        if self._small is not None:
            self.add(digests)
            return
        buckets = self._buckets
        for digest, number in zip(digests, self._numbers(digests), strict=True):
            buckets[number] += digest
        self._count += len(digests)
        self._widen()

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
            for i, (digest, number) in enumerate(zip(digests, self._numbers(digests), strict=True))
            if digest not in buckets[number]
        ]

    def blob(self) -> bytes:
        """All digests, concatenated, each once, in no particular order."""
        return b"".join(self._buckets if self._small is None else self._small)

    def compact(self) -> None:
        """Take some 20 bytes per digest from now on, and several times as long."""
        if self._small is None:
            return
        small, self._small = self._small, None
        self._spread(list(small))

    def _spread(self, digests: list[bytes]) -> None:
        self._number_bytes = 2 if len(digests) > _NARROW_UPTO else 1
        self._buckets, self._count = [b""] * (1 << 8 * self._number_bytes), 0
        self._fill(digests)

    def _fill(self, digests: list[bytes]) -> None:
        buckets, added = self._buckets, 0
        for digest, number in zip(digests, self._numbers(digests), strict=True):
            bucket = buckets[number]
            if digest not in bucket:
                buckets[number] = bucket + digest
                added += 1
        self._count += added
        self._widen()

    def _widen(self) -> None:
        if self._number_bytes == 1 and self._count > _NARROW_UPTO:
            self._spread(split(b"".join(self._buckets)))

    def _numbers(self, digests: list[bytes]) -> list[int]:
        """Each digest's bucket: its first bytes as a number, in this machine's byte order (all within one loop of C)."""
        if not digests:
            return []
        blob = memoryview(b"".join(digests)).cast("B" if self._number_bytes == 1 else "H")
        return blob[:: SIZE // self._number_bytes].tolist()


class DigestShards:
    """Digests by shard that only grow, for reading that moves on from shard to shard.

    The shards used last stand as plain sets, some `plain_upto` digests in all; older ones are only kept. One that is
    asked for again and again in between is looked up in its compact form from then on: slower, but not put up and down
    in turns.
    """

    def __init__(self, blobs: Iterable[tuple[str, bytes]] = (), *, plain_upto: int = COMPACT_ABOVE) -> None:
        self._plain_upto = plain_upto
        self._plain: OrderedDict[str, DigestSet] = OrderedDict()
        self._held = 0  # digests in plain sets
        self._compact: dict[str, DigestSet] = {}
        self._kept: dict[str, list[bytes]] = {}  # concatenated digests
        self._came_back: set[str] = set()
        for shard, blob in blobs:
            self._kept.setdefault(shard, []).append(blob)

    def unknown(self, shard: str, digests: list[bytes]) -> list[int]:
        """Indices of the digests that are not in the shard, in order."""
        return self._of(shard).unknown(digests)

    def add_new(self, shard: str, digests: list[bytes]) -> None:
        """Add digests of which the caller knows that each comes once and none is in the shard."""
        found = self._of(shard)
        found.add_new(digests)
        if shard in self._plain:
            self._held += len(digests)
            self._make_room()

    def _of(self, shard: str) -> DigestSet:
        found = self._plain.get(shard)
        if found is not None:
            self._plain.move_to_end(shard)
            return found
        found = self._compact.get(shard)
        if found is None:
            found = self._plain[shard] = DigestSet(b"".join(self._kept.pop(shard, ())))
            self._held += len(found)
            self._make_room()
        return found

    def _make_room(self) -> None:
        while self._held > self._plain_upto:
            shard, oldest = self._plain.popitem(last=False)
            self._held -= len(oldest)
            if shard in self._came_back or not self._plain:
                oldest.compact()
                self._compact[shard] = oldest
            else:
                self._came_back.add(shard)
                self._kept[shard] = [oldest.blob()]


#: Takes so many digests apart in one step, three times as fast as one by one.
_BLOCK = struct.Struct(f"{SIZE}s" * 1024)


def split(blob: bytes) -> list[bytes]:
    """Concatenated digests, one by one."""
    digests: list[bytes] = []
    behind = len(blob) - len(blob) % _BLOCK.size
    for start in range(0, behind, _BLOCK.size):
        digests += _BLOCK.unpack_from(blob, start)
    return digests + [blob[i : i + SIZE] for i in range(behind, len(blob), SIZE)]
