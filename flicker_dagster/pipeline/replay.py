"""Replay: send dead letters again, by the same outcome rules as any event.

The order is that of every delivery: the SIEM acknowledges, the ledger learns the ids, and only then are the letters
removed. Killed before the end, a replay is done again, under the same Idempotency-Keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from flicker_dagster.collect.event_fields import EventFields
from flicker_dagster.deliver.drain import drain
from flicker_dagster.failpoints import reach
from flicker_dagster.json_items import MOST_LEVELS
from flicker_dagster.json_scan import is_one_value, levels
from flicker_dagster.pipeline.set_aside import NEVER_SENT
from flicker_dagster.pipeline.windows import shard_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Ack, Batch, DeadLetter


class Replayed(msgspec.Struct, frozen=True):
    """What became of one object of dead letters, in events."""

    accepted: int
    refused: int


def replay(work: SourceWork, letter_id: str) -> Replayed:
    """Send the events of one object again; what the SIEM takes is removed, what it refuses again stays.

    The caller holds the source's lock. Raises DeliverError where the SIEM takes nothing at the moment, with all that it
    has not acknowledged kept; StateError where the object is not there.
    """
    found = work.dead_letters.read(letter_id)
    odd = [letter for letter in found if not _goes_with_others(letter.event)]
    # Those that may spoil a request they share come last, each in a request of its own.
    letters = [letter for letter in found if letter not in odd] + [
        letter for letter in odd if _can_be_sent(work, letter)
    ]
    unsendable = [letter for letter in odd if not _can_be_sent(work, letter)]
    unit = _Again(work, letters)
    refused = _Refused()
    try:
        drain(
            unit,
            work.destination,
            dead_letters=refused,
            source_name=work.source.name,
            in_flight=1,
            clock=work.clock,
        )
    finally:
        kept = _kept(letters, unit.answered, refused.letters) + unsendable
        _settle(work, letter_id, found, kept)
    return Replayed(accepted=len(found) - len(kept), refused=len(kept))


def _goes_with_others(event: bytes) -> bool:
    """Can the event be told from others in a request, and is it one that no parser on the way dies of?"""
    return is_one_value(event) and levels(event) <= MOST_LEVELS and b"\n" not in event


def _can_be_sent(work: SourceWork, letter: DeadLetter) -> bool:
    """An event with a line break in it would be two where each line is one."""
    return work.source.destination.format != "ndjson" or b"\n" not in letter.event


def _time_ms(fields: EventFields, letter: DeadLetter) -> int | None:
    """An event's time as collecting read it, or None: it says under which hour the ledger files the id."""
    return letter.event_time_ms if letter.status == NEVER_SENT else fields.time_ms(letter.event)


def _kept(letters: list[DeadLetter], answered: int, refused: list[DeadLetter]) -> list[DeadLetter]:
    """The letters that stay: those refused again, with today's reason, and those the SIEM has not answered."""
    again = {letter.digest: letter for letter in refused}
    return [
        msgspec.structs.replace(letter, reason=again[letter.digest].reason, status=again[letter.digest].status)
        if letter.digest in again
        else letter
        for index, letter in enumerate(letters)
        if index >= answered or letter.digest in again
    ]


def _settle(work: SourceWork, letter_id: str, letters: list[DeadLetter], kept: list[DeadLetter]) -> None:
    if len(kept) == len(letters):
        return
    staying = {letter.digest for letter in kept}
    fields = EventFields(work.source)
    accepted: dict[str, bytes] = {}
    for letter in letters:
        if letter.digest not in staying:
            shard = shard_of(_time_ms(fields, letter))
            accepted[shard] = accepted.get(shard, b"") + bytes.fromhex(letter.digest)
    reach("replay.before_ledger")
    work.ledger.add(accepted)
    reach("replay.after_ledger")
    if kept:
        work.dead_letters.add(kept)
    reach("replay.before_drop")
    work.dead_letters.drop(letter_id)
    reach("replay.after_drop")


class _Again:
    """Dead letters as a unit that `drain` can send. The same letters always make the same batches."""

    def __init__(self, work: SourceWork, letters: list[DeadLetter]) -> None:
        self._batches = _batches(work, letters)
        self.answered = 0  # events, from the first

    @property
    def waiting(self) -> int:
        return sum(batch.count for batch in self._batches) - self.answered

    def pending(self) -> Iterator[Batch]:
        yield from self._batches

    def acknowledge(self, *acks: Ack) -> None:
        self.answered += sum(ack.delivered + ack.duplicate + ack.dead for ack in acks)


class _Refused:
    """Takes the events that were refused again, until it is known what of their object stays."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def add(self, letters: list[DeadLetter]) -> list[str]:
        self.letters += letters
        return []


def _batches(work: SourceWork, letters: list[DeadLetter]) -> list[Batch]:
    batcher = work.new_batcher()
    batches: list[Batch] = []
    fields = EventFields(work.source)
    for letter in letters:
        if not _goes_with_others(letter.event):
            batches += batcher.flush()
        time_ms = _time_ms(fields, letter)
        batches += batcher.add([letter.event], [bytes.fromhex(letter.digest)], shard_of(time_ms), [time_ms])
    return batches + batcher.flush()
