"""The transaction coordinator: who may write under which transactional id, and what a transaction has touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from flicker_dagster.simulator.kafka.errors import Code
from flicker_dagster.simulator.kafka.logs import Partition, Topic

#: The broker's transaction.max.timeout.ms.
LONGEST_TIMEOUT_MS = 900_000

Place = tuple[str, int]


class State(Enum):
    EMPTY = "empty"
    ONGOING = "ongoing"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass
class Transaction:
    """The last transaction of one transactional id."""

    producer_id: int
    epoch: int = 0
    timeout_ms: int = 60_000
    state: State = State.EMPTY
    places: set[Place] = field(default_factory=set)
    began_s: float = 0.0


class Coordinator:
    """Transactional ids and producer ids. Not thread-safe: the broker holds its lock."""

    def __init__(self, topics: Mapping[str, Topic], clock: Callable[[], float]) -> None:
        self.transactions: dict[str, Transaction] = {}
        self._topics = topics
        self._clock = clock
        self._next_producer_id = 1_000

    def open(
        self, transactional_id: str | None, timeout_ms: int, *, own: tuple[int, int] = (-1, -1)
    ) -> tuple[Code, int, int]:
        """A producer begins: code, producer id and epoch. What its forerunner has not ended is aborted, and whoever still
        has the former epoch is fenced from now on. `own` is what the producer has, if it only wants a new epoch (KIP-360)."""
        if transactional_id is None:
            self._next_producer_id += 1
            return Code.NONE, self._next_producer_id, 0
        if not 0 < timeout_ms <= LONGEST_TIMEOUT_MS:
            return Code.INVALID_TRANSACTION_TIMEOUT, -1, -1
        known = self.transactions.get(transactional_id)
        if known is None:
            self._next_producer_id += 1
            known = self.transactions[transactional_id] = Transaction(self._next_producer_id)
        elif own[0] >= 0 and own != (known.producer_id, known.epoch):
            return Code.PRODUCER_FENCED, -1, -1
        else:
            known.epoch += 1
            if known.state is State.ONGOING:
                self._end(known, is_commit=False)
        known.state, known.timeout_ms = State.EMPTY, timeout_ms
        return Code.NONE, known.producer_id, known.epoch

    def add(self, transactional_id: str, producer_id: int, epoch: int, places: set[Place]) -> Code:
        known, code = self._known(transactional_id, producer_id, epoch)
        if known is None:
            return code
        if known.state is not State.ONGOING:
            known.state, known.places, known.began_s = State.ONGOING, set(), self._clock()
        known.places |= places
        return Code.NONE

    def end(self, transactional_id: str, producer_id: int, epoch: int, *, is_commit: bool) -> Code:
        known, code = self._known(transactional_id, producer_id, epoch)
        if known is None:
            return code
        if known.state is State.ONGOING:
            self._end(known, is_commit=is_commit)
            return Code.NONE
        ended = State.COMMITTED if is_commit else State.ABORTED
        return Code.NONE if known.state is ended else Code.INVALID_TXN_STATE

    def may_write(self, producer_id: int, epoch: int, place: Place) -> Code:
        """May a transactional batch of this producer go there?"""
        for known in self.transactions.values():
            if known.producer_id == producer_id:
                if epoch != known.epoch:
                    return Code.INVALID_PRODUCER_EPOCH
                is_open = known.state is State.ONGOING and place in known.places
                return Code.NONE if is_open else Code.INVALID_TXN_STATE
        return Code.INVALID_PRODUCER_ID_MAPPING

    def expire(self) -> bool:
        """Abort what has been open for too long; its producer is fenced. Was there any?"""
        late = [
            each
            for each in self.transactions.values()
            if each.state is State.ONGOING and self._clock() - each.began_s > each.timeout_ms / 1000
        ]
        for each in late:
            each.epoch += 1
            self._end(each, is_commit=False)
        return bool(late)

    def _known(self, transactional_id: str, producer_id: int, epoch: int) -> tuple[Transaction | None, Code]:
        known = self.transactions.get(transactional_id)
        if known is None or known.producer_id != producer_id:
            return None, Code.INVALID_PRODUCER_ID_MAPPING
        return (known, Code.NONE) if known.epoch == epoch else (None, Code.PRODUCER_FENCED)

    def _end(self, known: Transaction, *, is_commit: bool) -> None:
        now_ms = int(self._clock() * 1000)
        for topic, number in sorted(known.places):
            partition: Partition = self._topics[topic].partitions[number]
            partition.end_transaction(known.producer_id, known.epoch, is_commit=is_commit, now_ms=now_ms)
        known.state = State.COMMITTED if is_commit else State.ABORTED
        known.places = set()
