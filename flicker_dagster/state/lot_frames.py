"""The spool's file of lots: append-only frames whose torn tail can be told from damage.

A frame is: magic, three lengths, a CRC-32 over lengths and header, CRC-32s of digests and rest, then header (JSON), digests
(16 bytes each, by shard), and the rest: lengths, times, and the events. Headers and digests are read without the rest.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
from isal.isal_zlib import crc32  # of zlib's own, at twenty times its speed

from flicker_dagster.errors import StateError
from flicker_dagster.state.append_only import AppendOnlyFile
from flicker_dagster.state.digests import SIZE
from flicker_dagster.types import FrozenLot

_PREFIX = struct.Struct("<4s6I")
_LENGTHS = struct.Struct("<3I")
_MAGIC = b"FLL1"
#: Read at once at a frame's beginning; holds prefix and header of any but the strangest frame.
_LOOK_BYTES = 1024


class FrameHead(msgspec.Struct, frozen=True, array_like=True):
    """What a frame says about its lot without its columns and events. `shards` are keys with counts of digests."""

    seq: int
    lot_id: str
    source: str
    count: int
    array_bytes: int
    collected_ms: int
    at_ms: int
    shards: list[tuple[str, int]]


class _Frame(NamedTuple):
    head: FrameHead
    digests_at: int
    digests_len: int
    digests_crc: int
    rest_len: int
    rest_crc: int

    @property
    def rest_at(self) -> int:
        return self.digests_at + self.digests_len

    @property
    def end(self) -> int:
        return self.rest_at + self.rest_len


class _BadFrame(Exception):
    """No valid frame begins here; `torn` if the file ends inside of it."""

    def __init__(self, why: str, *, torn: bool = False) -> None:
        super().__init__(why)
        self.torn = torn


_encode_head = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(FrameHead).decode


def encode_frame(lot: FrozenLot, *, seq: int, at_ms: int) -> tuple[bytes, ...]:
    """The parts of one frame, to be written one behind the other."""
    digests = b"".join(lot.digests.values())
    shards = [(shard, len(blob) // SIZE) for shard, blob in lot.digests.items()]
    head = _encode_head(
        FrameHead(seq, lot.lot_id, lot.source, lot.count, lot.array_bytes, lot.collected_ms, at_ms, shards)
    )
    rest_len = len(lot.lengths) + len(lot.times_ms) + len(lot.array)
    lengths = _LENGTHS.pack(len(head), len(digests), rest_len)
    rest_crc = crc32(lot.array, crc32(lot.times_ms, crc32(lot.lengths)))
    crcs = struct.pack("<3I", crc32(head, crc32(lengths)), crc32(digests), rest_crc)
    return _MAGIC, lengths, crcs, head, digests, lot.lengths, lot.times_ms, lot.array


class FrameFile:
    """The frames of one generation of a unit, numbered without gaps from `first_seq`.

    In memory: 20 bytes per frame, whatever the frames hold. `trusted_bytes` were on the disk when the unit was last
    synced: damage in there raises StateError, while a bad frame behind them is what a crash left and ends the file.
    """

    def __init__(self, path: Path, *, first_seq: int | None, trusted_bytes: int) -> None:
        self.file = AppendOnlyFile(path)
        self.offsets = array("Q")
        self.counts = array("I")
        self.times_ms = array("Q")
        self.end = 0
        self.first_seq = 0 if first_seq is None else first_seq
        self._load(first_seq, trusted_bytes)

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def next_seq(self) -> int:
        return self.first_seq + len(self)

    def size_of(self, index: int) -> int:
        """Bytes of a frame on the disk."""
        following = index + 1
        return (self.offsets[following] if following < len(self) else self.end) - self.offsets[index]

    def append(self, lots: list[FrozenLot], *, at_ms: int) -> None:
        """Add frames in one write. Raises SpoolFull or StateError, and then none of them was added."""
        frames = [encode_frame(lot, seq=self.next_seq + i, at_ms=at_ms) for i, lot in enumerate(lots)]
        self.file.append(b"".join(chain.from_iterable(frames)), at=self.end)
        for lot, frame in zip(lots, frames, strict=True):
            self._index(self.end, lot.count, at_ms)
            self.end += sum(map(len, frame))

    def head(self, index: int) -> FrameHead:
        return self._good(index).head

    def lot(self, index: int) -> FrozenLot:
        """A whole lot. Raises StateError if its bytes are damaged."""
        look = self.file.read(self.offsets[index], self.size_of(index))
        frame = self._good(index, look)
        head = frame.head
        digests_at, rest_at = frame.digests_at - self.offsets[index], frame.rest_at - self.offsets[index]
        digests, rest = look[digests_at:rest_at], look[rest_at:]
        self._check_digests(frame, digests)
        if len(rest) != frame.rest_len or crc32(rest) != frame.rest_crc:
            raise self._damaged(frame.rest_at, "the checksum of its events does not fit")
        times_at, array_at = 4 * head.count, 12 * head.count
        return FrozenLot(
            seq=head.seq,
            lot_id=head.lot_id,
            source=head.source,
            count=head.count,
            array=rest[array_at:],
            array_bytes=head.array_bytes,
            digests=dict(_by_shard(head, digests)),
            lengths=rest[:times_at],
            times_ms=rest[times_at:array_at],
            collected_ms=head.collected_ms,
        )

    def digests_of(self, index: int) -> Iterator[tuple[str, bytes]]:
        """Shard keys with digests of one lot, without reading its events. Raises StateError if damaged."""
        frame = self._good(index)
        raw = self.file.read(frame.digests_at, frame.digests_len)
        self._check_digests(frame, raw)
        return _by_shard(frame.head, raw)

    def _load(self, first_seq: int | None, trusted_bytes: int) -> None:
        size = self.file.size()
        while self.end < size:
            try:
                frame = self._frame_at(self.end, size)
                if first_seq is None and not len(self):
                    self.first_seq = frame.head.seq
                if frame.head.seq != self.next_seq:
                    raise _BadFrame(f"frame {frame.head.seq} stands where {self.next_seq} belongs")
                if frame.end > trusted_bytes:
                    self._check_untrusted(frame)
            except _BadFrame as bad:
                cut_short = bad.torn and size < trusted_bytes
                if self.end < trusted_bytes and not cut_short:
                    raise self._damaged(self.end, str(bad)) from None
                return
            self._index(self.end, frame.head.count, frame.head.at_ms)
            self.end = frame.end

    def _check_untrusted(self, frame: _Frame) -> None:
        """The loss of power can leave holes in what was not synced, at the right length."""
        raw = self.file.read(frame.digests_at, frame.digests_len + frame.rest_len)
        if crc32(raw[: frame.digests_len]) != frame.digests_crc:
            raise _BadFrame("the digests' checksum does not fit")
        if crc32(raw[frame.digests_len :]) != frame.rest_crc:
            raise _BadFrame("the checksum of its events does not fit")

    def _frame_at(self, offset: int, size: int, look: bytes = b"") -> _Frame:
        """The frame at `offset` of a file of `size`; `look` is what was read there already."""
        look = look or self.file.read(offset, min(_LOOK_BYTES, size - offset))
        if len(look) < _PREFIX.size:
            raise _BadFrame("the file ends in a frame's beginning", torn=True)
        magic, head_len, digests_len, rest_len, head_crc, digests_crc, rest_crc = _PREFIX.unpack_from(look)
        if magic != _MAGIC:
            raise _BadFrame("no frame begins here")
        digests_at = offset + _PREFIX.size + head_len
        frame_end = digests_at + digests_len + rest_len
        raw = look[_PREFIX.size : _PREFIX.size + head_len]
        if len(raw) < head_len and digests_at <= size:
            raw = self.file.read(offset + _PREFIX.size, head_len)
        whole = len(raw) == head_len and crc32(raw, crc32(look[4:16])) == head_crc
        if frame_end > size:
            raise _BadFrame("the file ends within a frame", torn=True)
        if not whole:
            raise _BadFrame("the header's checksum does not fit")
        return _Frame(_decode_head(raw), digests_at, digests_len, digests_crc, rest_len, rest_crc)

    def _good(self, index: int, look: bytes = b"") -> _Frame:
        try:
            return self._frame_at(self.offsets[index], self.end, look)
        except _BadFrame as bad:
            raise self._damaged(self.offsets[index], str(bad)) from None

    def _check_digests(self, frame: _Frame, raw: bytes) -> None:
        if crc32(raw) != frame.digests_crc:
            raise self._damaged(frame.digests_at, "the digests' checksum does not fit")

    def _index(self, offset: int, count: int, at_ms: int) -> None:
        self.offsets.append(offset)
        self.counts.append(count)
        self.times_ms.append(at_ms)

    def _damaged(self, offset: int, why: str) -> StateError:
        return StateError(
            f"{self.file.path} is damaged at byte {offset}: {why}. Move its directory away; what waited in it is "
            "collected again from the registry's position"
        )


def _by_shard(head: FrameHead, digests: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    for shard, count in head.shards:
        yield shard, digests[at : at + count * SIZE]
        at += count * SIZE
