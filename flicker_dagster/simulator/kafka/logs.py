"""Topics: the log of each partition, what of it readers of committed records may see, and sequences of producers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from flicker_dagster.simulator.kafka.errors import Code
from flicker_dagster.simulator.kafka.records import Batch, Record, marker

#: A broker remembers so many batches of a producer, to know one again that is sent once more.
REMEMBERED = 5


@dataclass(frozen=True)
class Aborted:
    producer_id: int
    first: int
    last: int


@dataclass
class _Sequence:
    epoch: int
    recent: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # first, next, offset


class Partition:
    """One log. Not thread-safe: the broker holds its lock."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.end = 0
        self.open: dict[int, int] = {}  # producer -> first offset of its transaction
        self.aborted: list[Aborted] = []
        self._sequences: dict[int, _Sequence] = {}

    @property
    def stable_end(self) -> int:
        """Before this offset every transaction has ended."""
        return min(self.open.values(), default=self.end)

    def append(self, batch: Batch) -> tuple[Code, int]:
        """Append a producer's batch; gives its offset. A batch that is known already is not appended again."""
        code, offset = self._in_sequence(batch)
        if code is not Code.NONE or offset >= 0:
            return code, offset
        offset = self._put(batch)
        if batch.producer_id >= 0:
            first = batch.base_sequence
            self._sequences[batch.producer_id].recent.append((first, first + batch.count, offset))
        if batch.is_transactional:
            self.open.setdefault(batch.producer_id, offset)
        return Code.NONE, offset

    def end_transaction(self, producer_id: int, epoch: int, *, is_commit: bool, now_ms: int) -> None:
        offset = self._put(marker(producer_id, epoch, is_commit=is_commit, now_ms=now_ms))
        first = self.open.pop(producer_id, None)
        if first is not None and not is_commit:
            self.aborted.append(Aborted(producer_id, first, offset))

    def read(self, offset: int, *, at_most: int, committed: bool) -> tuple[bytes, list[Aborted]]:
        """Batches from that offset on, the first one whatever its size, and the aborted transactions among them."""
        end = self.stable_end if committed else self.end
        found, size = [], 0
        for batch in self.batches:
            if batch.next_offset <= offset or batch.next_offset > end:
                continue
            if found and size + len(batch.data) > at_most:
                break
            found.append(batch)
            size += len(batch.data)
        data = b"".join(batch.data for batch in found)
        if not found or not committed:
            return data, []
        last = found[-1].next_offset
        return data, [each for each in self.aborted if each.last >= offset and each.first < last]

    def offset_at(self, time_ms: int) -> tuple[int, int] | None:
        """Offset and time of the first record that is not earlier."""
        for batch in self.batches:
            if batch.is_control or batch.max_time_ms < time_ms:
                continue
            records = batch.records()
            if records is None:
                return batch.base_offset, batch.max_time_ms
            return next((each.offset, each.timestamp_ms) for each in records if each.timestamp_ms >= time_ms)
        return None

    def committed(self) -> list[Record]:
        """What readers of committed records have seen so far. Raises ValueError for a compression unknown here."""
        found: list[Record] = []
        for batch in self.batches:
            if batch.is_control or batch.next_offset > self.stable_end or self._is_aborted(batch):
                continue
            records = batch.records()
            if records is None:
                raise ValueError("compressed otherwise than by gzip: read it by a client")
            found += records
        return found

    def _is_aborted(self, batch: Batch) -> bool:
        return batch.is_transactional and any(
            each.producer_id == batch.producer_id and each.first <= batch.base_offset < each.last
            for each in self.aborted
        )

    def _put(self, batch: Batch) -> int:
        offset = self.end
        self.batches.append(batch.at(offset))
        self.end += batch.count
        return offset

    def _in_sequence(self, batch: Batch) -> tuple[Code, int]:
        if batch.producer_id < 0:
            return Code.NONE, -1
        known = self._sequences.get(batch.producer_id)
        if known is not None and batch.epoch < known.epoch:
            return Code.INVALID_PRODUCER_EPOCH, -1
        if known is None or batch.epoch > known.epoch:
            if known is not None and batch.base_sequence != 0:
                return Code.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
            self._sequences[batch.producer_id] = _Sequence(batch.epoch)
            return Code.NONE, -1
        for first, following, offset in known.recent:
            if (first, following) == (batch.base_sequence, batch.base_sequence + batch.count):
                return Code.NONE, offset
        expected = known.recent[-1][1] if known.recent else 0
        return (Code.NONE if batch.base_sequence == expected else Code.OUT_OF_ORDER_SEQUENCE_NUMBER), -1


@dataclass
class Topic:
    """Its partitions, and what it takes."""

    partitions: list[Partition]
    max_message_bytes: int = 1_048_588
    denied: bool = False
