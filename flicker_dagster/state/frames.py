"""The spool's file of batches: append-only frames whose torn tail can be told from damage.

A frame is: magic, three lengths, a CRC-32 over lengths and header, CRC-32s of digests and body, then header (JSON),
digests (16 bytes each, by window), body (as it goes to the SIEM). Headers and digests are read without the bodies.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Container, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
from isal.isal_zlib import crc32  # of zlib's own, at twenty times its speed

from flicker_dagster.errors import StateError
from flicker_dagster.state.append_only import AppendOnlyFile
from flicker_dagster.state.digests import SIZE
from flicker_dagster.types import Batch

_PREFIX = struct.Struct("<4s6I")
_LENGTHS = struct.Struct("<3I")
_MAGIC = b"FLB1"
#: Read at once at a frame's beginning; holds prefix and header of any but the strangest frame.
_LOOK_BYTES = 1024


class FrameHead(msgspec.Struct, frozen=True, array_like=True):
    """What a frame says about its batch without its digests and body. `windows` are keys with counts of digests."""

    seq: int
    batch_id: str
    count: int
    content_type: str
    body_bytes: int
    first_ms: int | None
    last_ms: int | None
    at_ms: int
    windows: list[tuple[str, int]]


class _Frame(NamedTuple):
    head: FrameHead
    digests_at: int
    digests_len: int
    digests_crc: int
    body_len: int
    body_crc: int

    @property
    def body_at(self) -> int:
        return self.digests_at + self.digests_len

    @property
    def end(self) -> int:
        return self.body_at + self.body_len


class _BadFrame(Exception):
    """No valid frame begins here; `torn` if the file ends inside of it."""

    def __init__(self, why: str, *, torn: bool = False) -> None:
        super().__init__(why)
        self.torn = torn


_encode_head = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(FrameHead).decode


def encode_frame(batch: Batch, *, seq: int, at_ms: int) -> tuple[bytes, ...]:
    """The parts of one frame, to be written one behind the other."""
    digests = b"".join(batch.digests.values())
    windows = [(window, len(blob) // SIZE) for window, blob in batch.digests.items()]
    head = _encode_head(
        FrameHead(
            seq, batch.batch_id, batch.count, batch.content_type, batch.body_bytes, batch.first_ms, batch.last_ms,
            at_ms, windows,
        )
    )  # fmt: skip
    lengths = _LENGTHS.pack(len(head), len(digests), len(batch.body))
    crcs = struct.pack("<3I", crc32(head, crc32(lengths)), crc32(digests), crc32(batch.body))
    return _MAGIC, lengths, crcs, head, digests, batch.body


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

    def append(self, batches: list[Batch], *, at_ms: int) -> None:
        """Add frames in one write. Raises SpoolFull or StateError, and then none of them was added."""
        frames = [encode_frame(batch, seq=self.next_seq + i, at_ms=at_ms) for i, batch in enumerate(batches)]
        self.file.append(b"".join(chain.from_iterable(frames)), at=self.end)
        for batch, frame in zip(batches, frames, strict=True):
            self._index(self.end, batch.count, at_ms)
            self.end += sum(map(len, frame))

    def head(self, index: int) -> FrameHead:
        return self._good(index).head

    def batch(self, index: int) -> Batch:
        """A whole batch. Raises StateError if its bytes are damaged."""
        look = self.file.read(self.offsets[index], self.size_of(index))
        frame = self._good(index, look)
        digests_at, body_at = frame.digests_at - self.offsets[index], frame.body_at - self.offsets[index]
        digests, body = look[digests_at:body_at], look[body_at:]
        self._check_digests(frame, digests)
        if len(body) != frame.body_len or crc32(body) != frame.body_crc:
            raise self._damaged(frame.body_at, "the body's checksum does not fit")
        head = frame.head
        return Batch(
            seq=head.seq, batch_id=head.batch_id, count=head.count, content_type=head.content_type, body=body,
            body_bytes=head.body_bytes, digests=dict(_by_window(head, digests)), first_ms=head.first_ms,
            last_ms=head.last_ms,
        )  # fmt: skip

    def digests(self, *, but: Container[int] = ()) -> Iterator[tuple[str, bytes]]:
        """Window keys with digests, frame by frame, without reading a body. Raises StateError if damaged.

        Frames whose number is in `but` are left out.
        """
        for index in range(len(self)):
            if self.first_seq + index in but:
                continue
            frame = self._good(index)
            raw = self.file.read(frame.digests_at, frame.digests_len)
            self._check_digests(frame, raw)
            yield from _by_window(frame.head, raw)

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
        raw = self.file.read(frame.digests_at, frame.digests_len + frame.body_len)
        if crc32(raw[: frame.digests_len]) != frame.digests_crc:
            raise _BadFrame("the digests' checksum does not fit")
        if crc32(raw[frame.digests_len :]) != frame.body_crc:
            raise _BadFrame("the body's checksum does not fit")

    def _frame_at(self, offset: int, size: int, look: bytes = b"") -> _Frame:
        """The frame at `offset` of a file of `size`; `look` is what was read there already."""
        look = look or self.file.read(offset, min(_LOOK_BYTES, size - offset))
        if len(look) < _PREFIX.size:
            raise _BadFrame("the file ends in a frame's beginning", torn=True)
        magic, head_len, digests_len, body_len, head_crc, digests_crc, body_crc = _PREFIX.unpack_from(look)
        if magic != _MAGIC:
            raise _BadFrame("no frame begins here")
        digests_at = offset + _PREFIX.size + head_len
        frame_end = digests_at + digests_len + body_len
        raw = look[_PREFIX.size : _PREFIX.size + head_len]
        if len(raw) < head_len and digests_at <= size:
            raw = self.file.read(offset + _PREFIX.size, head_len)
        whole = len(raw) == head_len and crc32(raw, crc32(look[4:16])) == head_crc
        if frame_end > size:
            raise _BadFrame("the file ends within a frame", torn=True)
        if not whole:
            raise _BadFrame("the header's checksum does not fit")
        return _Frame(_decode_head(raw), digests_at, digests_len, digests_crc, body_len, body_crc)

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


def _by_window(head: FrameHead, digests: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    for window, count in head.windows:
        yield window, digests[at : at + count * SIZE]
        at += count * SIZE
