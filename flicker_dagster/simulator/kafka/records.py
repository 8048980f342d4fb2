"""Batches of records (message format 2): what their header says, what is in them, and the markers that end transactions."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass

from flicker_dagster.simulator.kafka.wire import Cut, Reader, i16, i32

#: Base offset, length, leader epoch, magic, checksum, attributes, last offset delta, base and maximum time, producer and its
#: epoch, base sequence, number of records.
_HEADER = struct.Struct(">qiibIhiqqqhii")
MAGIC = 2
GZIP = 1
TRANSACTIONAL, CONTROL = 0x10, 0x20


@dataclass(frozen=True)
class Record:
    """One record as it was produced."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes | None]


@dataclass(frozen=True)
class Batch:
    """A batch as it lies in a log. `data` is what was produced, with the offset it was given."""

    base_offset: int
    data: bytes
    count: int
    compression: int
    is_transactional: bool
    is_control: bool
    base_time_ms: int
    max_time_ms: int
    producer_id: int
    epoch: int
    base_sequence: int

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.count

    def at(self, offset: int) -> Batch:
        """The batch under the offset that a log gives it. The checksum does not cover it."""
        data = struct.pack(">q", offset) + self.data[8:]
        return Batch(**{**self.__dict__, "base_offset": offset, "data": data})

    def records(self) -> list[Record] | None:
        """What is in it; None where it is compressed otherwise than by gzip. Raises Cut."""
        packed = self.data[_HEADER.size :]
        if self.compression == GZIP:
            packed = gzip.decompress(packed)
        elif self.compression:
            return None
        reader = Reader(packed)
        return [self._record(reader) for _ in range(self.count)]

    def _record(self, reader: Reader) -> Record:
        reader.varint()
        reader.i8()
        time_ms = self.base_time_ms + reader.varint()
        offset = self.base_offset + reader.varint()
        key, value = reader.varbytes(), reader.varbytes()
        headers = {(reader.varbytes() or b"").decode(): reader.varbytes() for _ in range(reader.varint())}
        return Record(offset, time_ms, key, value, headers)


def batches_of(data: bytes) -> list[Batch]:
    """The batches of a produce request. Raises Cut, and ValueError for another message format."""
    found, at = [], 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise Cut("a batch without its header")
        (_, length, _, magic, _, attributes, _, base_ms, max_ms, producer, epoch, sequence, count) = (
            _HEADER.unpack_from(data, at)
        )
        if magic != MAGIC:
            raise ValueError(f"message format {magic}, expected {MAGIC}")
        if at + 12 + length > len(data):
            raise Cut("a batch that is cut off")
        found.append(
            Batch(
                base_offset=-1,
                data=data[at : at + 12 + length],
                count=count,
                compression=attributes & 7,
                is_transactional=bool(attributes & TRANSACTIONAL),
                is_control=bool(attributes & CONTROL),
                base_time_ms=base_ms,
                max_time_ms=max_ms,
                producer_id=producer,
                epoch=epoch,
                base_sequence=sequence,
            )
        )
        at += 12 + length
    return found


def marker(producer_id: int, epoch: int, *, is_commit: bool, now_ms: int) -> Batch:
    """The control batch by which a transaction ends in a log."""
    key, value = i16(0) + i16(int(is_commit)), i16(0) + i32(0)
    inner = b"\x00\x00\x00" + bytes([len(key) << 1]) + key + bytes([len(value) << 1]) + value + b"\x00"
    record = bytes([len(inner) << 1]) + inner
    covered = struct.pack(">hiqqqhii", TRANSACTIONAL | CONTROL, 0, now_ms, now_ms, producer_id, epoch, -1, 1)
    covered += record
    data = struct.pack(">qiibI", 0, 9 + len(covered), 0, MAGIC, crc32c(covered)) + covered
    return batches_of(data)[0]


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum, bit by bit as it is needed for markers only."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
