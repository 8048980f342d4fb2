"""What every destination must live up to, tried against its receiver: a queue in memory, runs of a lane, and the trials.

A test module opens its destination in a function, so that every run has a new one, as in production:

    def test_commits_that_are_cut(siem):
        queue = MemoryQueue(lots_of(600))
        drained = drain(queue, lambda: opened(siem), runs=200)
        assert drained.done and siem.counts() == {uid: 1 ...}
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.lane import deliver_lane
from flicker_dagster.deliver.learned import LearnedLimits
from flicker_dagster.deliver.outcomes import Delivered, Split
from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.lots import Awaiting, Lot, Receipt
from flicker_dagster.simulator.receivers.api import ApiReceiver
from flicker_dagster.types import DeadLetter, Settled

#: 2026-11-23T20:00:00Z
NOW_MS = 1_795_464_000_000


class FakeClock:
    """Seconds since the epoch, moved by `sleep` only."""

    def __init__(self, now_s: float = NOW_MS / 1000) -> None:
        self.now_s = now_s
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now_s += seconds


def event_of(number: int, **more: object) -> bytes:
    """An audit event of some 300 bytes; `more` is laid over it."""
    event = {
        "id": f"e{number:06d}",
        "time": f"2026-11-23T20:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        "actor": {"id": f"u{number % 17}", "name": "Zoë Ünal", "ip": "203.0.113.7"},
        "action": "user.session.start",
        "detail": "x" * 150,
    } | more
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def lot_of(
    events: Sequence[bytes],
    *,
    seq: int = 0,
    source: str = "okta",
    ids: Sequence[str] | None = None,
    times_ms: Sequence[int | None] | None = None,
) -> Lot:
    """A lot of these events, identified by `ids`, or by their content."""
    texts = [event if ids is None else ids[i].encode() for i, event in enumerate(events)]
    return Lot.of(
        list(events),
        digests=[blake2b(text, digest_size=16).digest() for text in texts],
        times_ms=[NOW_MS - 60_000 + i for i in range(len(events))] if times_ms is None else list(times_ms),
        source=source,
        collected_ms=NOW_MS,
        seq=seq,
    )


def lots_of(count: int, *, size: int = 100, source: str = "okta", make: Callable[[int], bytes] = event_of) -> list[Lot]:
    """`count` events in lots of `size`."""
    numbers = range(count)
    return [
        lot_of([make(n) for n in numbers[at : at + size]], seq=seq, source=source)
        for seq, at in enumerate(range(0, count, size))
    ]


@dataclass
class _Kept:
    lot: Lot
    settled: bytearray
    cuts: set[int] = field(default_factory=set)
    awaiting: dict[int, Awaiting] = field(default_factory=dict)  # by place
    whole: set[tuple[int, ...]] = field(default_factory=set)


class MemoryQueue:
    """A lane's queue as the spool keeps it, in memory; it outlives any number of runs."""

    def __init__(self, lots: Sequence[Lot]) -> None:
        self._kept = {lot.seq: _Kept(lot, bytearray(len(lot))) for lot in lots}
        self._lock = threading.Lock()
        self.history: list[tuple[Lot, Settled]] = []

    def pending(self) -> Iterator[Lot]:
        for kept in list(self._kept.values()):
            yield from self._parts(kept)

    def _parts(self, kept: _Kept) -> list[Lot]:
        with self._lock:
            edges = [0, *sorted(kept.cuts), len(kept.lot)]
            parts = []
            for start, stop in itertools.pairwise(edges):
                free = [p for p in range(start, stop) if not kept.settled[p] and p not in kept.awaiting]
                if free:
                    parts.append(kept.lot.part(free))
            return parts

    def settle(self, lot: Lot, settled: Settled) -> None:
        assert settled.events == len(lot)
        with self._lock:
            kept = self._kept[lot.seq]
            for place in lot.places:
                assert not kept.settled[place], f"event {place} of lot {lot.seq} was settled twice"
                kept.settled[place] = 1
                kept.awaiting.pop(place, None)
            self.history.append((lot, settled))

    def cut(self, lot: Lot, place: int) -> None:
        with self._lock:
            self._kept[lot.seq].cuts.add(place)

    def leave_whole(self, lot: Lot) -> None:
        with self._lock:
            self._kept[lot.seq].whole.add(tuple(lot.places))

    def is_left_whole(self, lot: Lot) -> bool:
        return tuple(lot.places) in self._kept[lot.seq].whole

    def awaiting(self) -> list[Awaiting]:
        with self._lock:
            found = [each for kept in self._kept.values() for each in kept.awaiting.values()]
            return list({id(each): each for each in found}.values())

    @property
    def awaiting_events(self) -> int:
        with self._lock:
            return sum(len(kept.awaiting) for kept in self._kept.values())

    def receive(self, lot: Lot, receipt: Receipt, *, at_ms: int) -> None:
        with self._lock:
            awaiting = Awaiting(lambda: lot, receipt, at_ms)
            self._kept[lot.seq].awaiting |= dict.fromkeys(lot.places, awaiting)

    def expire(self, lot: Lot) -> None:
        with self._lock:
            for place in lot.places:
                self._kept[lot.seq].awaiting.pop(place, None)

    @property
    def waiting(self) -> int:
        return sum(len(kept.settled) - sum(kept.settled) for kept in self._kept.values())


class Letters:
    """Dead letters in memory."""

    def __init__(self) -> None:
        self.kept: list[DeadLetter] = []

    def add(self, letters: list[DeadLetter]) -> list[str]:
        self.kept += letters
        return []


@dataclass
class Drained:
    """What several runs came to."""

    reports: list[LaneReport]
    letters: Letters
    queue: MemoryQueue

    @property
    def done(self) -> bool:
        return not self.queue.waiting

    @property
    def delivered(self) -> int:
        return sum(settled.delivered + settled.duplicate for _, settled in self.queue.history)

    @property
    def dead(self) -> int:
        return len(self.letters.kept)

    @property
    def last_words(self) -> str:
        return str(self.reports[-1].failed)


def drain(
    queue: MemoryQueue,
    open_destination: Callable[[], Destination],
    *,
    runs: int = 1,
    clock: FakeClock | None = None,
    pause_s: float = 30.0,
    letters: Letters | None = None,
    learned: LearnedLimits | None = None,
) -> Drained:
    """Up to `runs` runs of a lane, until nothing waits; each opens the destination anew and the clock moves between them."""
    clock = clock or FakeClock()
    letters = letters or Letters()
    learned = learned or LearnedLimits()
    reports: list[LaneReport] = []
    for _ in range(runs):
        destination = open_destination()
        try:
            reports.append(
                deliver_lane(
                    queue,
                    destination,
                    stream="okta",
                    dead_letters=letters,
                    learned=learned,
                    clock=clock,
                    sleep=clock.sleep,
                )
            )
        finally:
            destination.close()
        if not queue.waiting:
            break
        clock.sleep(pause_s)
    return Drained(reports, letters, queue)


def assert_nothing_is_lost_at_cuts(siem: ApiReceiver, open_: Callable[[], Destination]) -> None:
    """A quarter of the requests is taken and never answered: all events arrive, some of them again under the same ids."""
    siem.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(2_000, size=50)
    drained = drain(MemoryQueue(lots), open_, runs=100)
    assert (drained.done, drained.delivered, drained.dead) == (True, 2_000, 0)
    counts = siem.counts()
    assert set(counts) == {uid for lot in lots for uid in lot.uids}
    assert sum(counts.values()) > 2_000, "what was taken and not answered came again, under the same ids"


def assert_splits_unsent(siem: ApiReceiver, destination: Destination) -> None:
    """A body above `max_batch_bytes` (1,000) is halved before anything is sent; an event that is so alone is tried."""
    lot = lot_of([event_of(n, detail="x" * 2_000) for n in range(2)])
    assert isinstance(destination.send(lot), Split)
    assert siem.requests == 0
    assert isinstance(destination.send(lot.part([0])), Delivered)
    destination.close()
