"""Replay: send dead letters again, by the same outcome rules as any event.

The order is that of every delivery: the SIEM acknowledges, the ledger learns the ids, and only then are the letters
removed. Killed before the end, a replay is done again, under the same Idempotency-Keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from flicker_dagster.collect.paths import lookup, split_path
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.deliver.drain import drain
from flicker_dagster.failpoints import reach
from flicker_dagster.pipeline.windows import shard_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.times import parse_time_ms
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
    letters = work.dead_letters.read(letter_id)
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
        kept = _kept(letters, unit.answered, refused.letters)
        _settle(work, letter_id, letters, kept)
    return Replayed(accepted=len(letters) - len(kept), refused=len(kept))


def event_time_ms(source: SourceConfig, event: bytes) -> int | None:
    """An event's time as collecting read it, or None: it says under which hour the ledger files the id."""
    paths = [source.timestamp_field] if isinstance(source.timestamp_field, str) else source.timestamp_field
    row = msgspec.json.decode(event)
    found = (parse_time_ms(lookup(row, split_path(path)), source.timestamp_format) for path in paths)
    return next((ms for ms in found if ms is not None), None)


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
    accepted: dict[str, bytes] = {}
    for letter in letters:
        if letter.digest not in staying:
            shard = shard_of(event_time_ms(work.source, letter.event))
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
    for letter in letters:
        time_ms = event_time_ms(work.source, letter.event)
        batches += batcher.add([letter.event], [bytes.fromhex(letter.digest)], shard_of(time_ms), [time_ms])
    return batches + batcher.flush()
