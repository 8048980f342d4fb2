"""Replay: send a lane's dead letters again, by the same outcome rules as any event.

The order is that of every delivery: the destination acknowledges, the ledger learns the ids, and only then are the letters
removed. Killed before the end, a replay is done again, under the same keys.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import msgspec

from flicker_dagster.collect.event_fields import EventFields
from flicker_dagster.deliver.lane import deliver_lane
from flicker_dagster.deliver.refused import NEVER_SENT
from flicker_dagster.failpoints import reach
from flicker_dagster.json_items import MOST_LEVELS
from flicker_dagster.json_scan import is_one_value, levels
from flicker_dagster.lots import Awaiting, Lot, Receipt
from flicker_dagster.pipeline.lanes import LaneWork
from flicker_dagster.pipeline.windows import shard_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import DeadLetter, Settled

#: How long a replay waits for acknowledgements that come later; what is not confirmed then stays a dead letter.
CONFIRMED_WITHIN_S = 60.0


class Replayed(msgspec.Struct, frozen=True):
    """What became of one object of dead letters, in events."""

    accepted: int
    refused: int


def replay(work: SourceWork, lane: LaneWork, letter_id: str) -> Replayed:
    """Send the events of one object again; what the destination takes is removed, what it refuses again stays.

    The caller holds the source's lock. Raises DeliverError where it takes nothing at the moment, with all that it has not
    acknowledged kept; StateError where the object is not there.
    """
    found = lane.dead_letters.read(letter_id)
    queue = _Letters(work, found)
    refused = _Refused()
    try:
        report = deliver_lane(
            queue,
            lane.destination,
            stream=work.source.name,
            lane=lane.name,
            dead_letters=refused,
            may_send=work.fence.assure,
            clock=work.clock,
            sleep=work.sleep,
            wait_for_receipts_s=CONFIRMED_WITHIN_S,
        )
    finally:
        kept = _kept(found, queue.accepted, refused.letters)
        _settle(work, lane, letter_id, found, kept)
    if report.failed is not None:
        raise report.failed
    return Replayed(accepted=len(found) - len(kept), refused=len(kept))


def _goes_with_others(event: bytes) -> bool:
    """Can the event be told from others in a request, and is it one that no parser on the way dies of?"""
    return is_one_value(event) and levels(event) <= MOST_LEVELS and b"\n" not in event


def _time_ms(fields: EventFields, letter: DeadLetter) -> int | None:
    """An event's time as collecting read it, or None: it says under which hour the ledger files the id. Letters of earlier
    versions do not hold it."""
    if letter.event_time_ms is not None or letter.status == NEVER_SENT:
        return letter.event_time_ms
    return fields.time_ms(letter.event)


def _kept(letters: list[DeadLetter], accepted: set[str], refused: list[DeadLetter]) -> list[DeadLetter]:
    """The letters that stay: those refused again, with today's reason, and those nobody has answered for."""
    again = {letter.digest: letter for letter in refused}
    return [
        msgspec.structs.replace(letter, reason=again[letter.digest].reason, status=again[letter.digest].status)
        if letter.digest in again
        else letter
        for letter in letters
        if letter.digest not in accepted
    ]


def _settle(
    work: SourceWork, lane: LaneWork, letter_id: str, letters: list[DeadLetter], kept: list[DeadLetter]
) -> None:
    if len(kept) == len(letters):
        return
    staying = {letter.digest for letter in kept}
    fields = EventFields(work.source.listing.rows)
    accepted: dict[str, bytes] = {}
    for letter in letters:
        if letter.digest not in staying:
            shard = shard_of(_time_ms(fields, letter))
            accepted[shard] = accepted.get(shard, b"") + bytes.fromhex(letter.digest)
    reach("replay.before_ledger")
    lane.ledger.add(accepted)
    reach("replay.after_ledger")
    if kept:
        lane.dead_letters.add(kept)
    reach("replay.before_drop")
    lane.dead_letters.drop(letter_id)
    reach("replay.after_drop")


class _Letters:
    """Dead letters as a lane's queue. The same letters always make the same lots; those that may spoil a request which they
    share come last, each in a request of its own."""

    def __init__(self, work: SourceWork, letters: Sequence[DeadLetter]) -> None:
        fields = EventFields(work.source.listing.rows)
        plain = [letter for letter in letters if _goes_with_others(letter.event)]
        odd = [letter for letter in letters if not _goes_with_others(letter.event)]
        size = work.source.buffer_size
        groups = [plain[at : at + size] for at in range(0, len(plain), size)] + [[letter] for letter in odd]
        self._parts = [
            Lot.of(
                [letter.event for letter in group],
                digests=[bytes.fromhex(letter.digest) for letter in group],
                times_ms=[_time_ms(fields, letter) for letter in group],
                source=work.source.name,
                collected_ms=group[0].at_ms,
                seq=seq,
            )
            for seq, group in enumerate(groups)
        ]
        self.accepted: set[str] = set()
        self._awaiting: list[Awaiting] = []
        self._lock = threading.Lock()

    def pending(self) -> Iterator[Lot]:
        yield from self._parts

    def settle(self, lot: Lot, settled: Settled) -> None:
        with self._lock:
            if settled.delivered or settled.duplicate:
                self.accepted.update(digest.hex() for digest in lot.digests)
            self._forget(lot)

    def cut(self, lot: Lot, place: int) -> None:
        """A replay that is done again cuts its lots anew."""

    def leave_whole(self, lot: Lot) -> None:
        """Nothing outlives this replay."""

    def is_left_whole(self, lot: Lot) -> bool:
        return False

    @property
    def awaiting_events(self) -> int:
        return sum(len(each.lot) for each in self._awaiting)

    def awaiting(self) -> list[Awaiting]:
        return list(self._awaiting)

    def receive(self, lot: Lot, receipt: Receipt, *, at_ms: int) -> None:
        with self._lock:
            self._awaiting.append(Awaiting(lambda: lot, receipt, at_ms))

    def expire(self, lot: Lot) -> None:
        with self._lock:
            self._forget(lot)

    def _forget(self, lot: Lot) -> None:
        self._awaiting = [each for each in self._awaiting if each.lot.digests != lot.digests]


class _Refused:
    """Takes the events that were refused again, until it is known what of their object stays."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def add(self, letters: list[DeadLetter]) -> list[str]:
        self.letters += letters
        return []
