"""Drain: send what waits in a unit of the spool, in order, several requests in flight, each acknowledged at once.

A failure stops the drain with everything unacknowledged still in the spool; the retry belongs to Dagster, and the next
drain sends the same bytes under the same Idempotency-Key.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice
from threading import Thread
from typing import Protocol

import msgspec
from isal import igzip

from flicker_dagster.deliver.batching import pack
from flicker_dagster.deliver.old_destinations import Destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Outcome, Rejected, Split
from flicker_dagster.errors import DestinationBlocked, DestinationUnavailable
from flicker_dagster.failpoints import reach
from flicker_dagster.types import Ack, Batch, DeadLetter

log = logging.getLogger("flicker.deliver")

#: So many events refused one by one in the same words, and none taken: that is the configuration, not the events.
REFUSES_EVERYTHING = 8

#: How often the crew is looked at, and the share of a CPU below which it mostly waits.
LOOK_S = 0.01
BUSY_SHARE = 0.5

ADVICE = (
    "everything waits in the spool; fix the destination's credentials, permission or address, then it goes on by itself"
)


class Unit(Protocol):
    """A unit of the spool, as far as draining needs it."""

    @property
    def waiting(self) -> object: ...

    def pending(self) -> Iterator[Batch]: ...

    def acknowledge(self, *acks: Ack) -> None: ...


class DeadLetterStore(Protocol):
    def add(self, letters: list[DeadLetter]) -> list[str]: ...


class DrainReport(msgspec.Struct):
    """What a drain did, in events unless named otherwise."""

    batches: int = 0
    delivered: int = 0
    duplicate: int = 0
    dead: int = 0
    bytes: int = 0
    attempts: int = 0
    statuses: Counter[str] = msgspec.field(default_factory=Counter)  # answers by their name, in batches

    def note(self, batch: Batch, ack: Ack) -> None:
        self.batches += 1
        self.delivered += ack.delivered
        self.duplicate += ack.duplicate
        self.dead += ack.dead
        self.bytes += len(batch.body)
        self.attempts += ack.attempts
        self.statuses[ack.status] += 1


def drain(
    unit: Unit,
    destination: Destination,
    *,
    dead_letters: DeadLetterStore,
    source_name: str,
    in_flight: int,
    clock: Callable[[], float] = time.time,
) -> DrainReport:
    """Send every waiting batch. Raises DestinationUnavailable or DestinationBlocked at the first that is not taken."""
    report = DrainReport()
    courier = _Courier(unit, destination, dead_letters, source_name, clock)
    try:
        _send_all(unit.pending(), courier, report, in_flight)
    finally:
        for status, events in sorted(courier.shipped.items()):
            log.info("Shipped %d events to SIEM (%s)", events, status)
        if report.dead:
            log.warning("%s: %d events were refused for good and kept as dead letters", source_name, report.dead)
    return report


def _send_all(batches: Iterator[Batch], courier: _Courier, report: DrainReport, in_flight: int) -> None:
    """Send in order, up to `in_flight` at a time; a lone batch needs no thread."""
    ahead = list(islice(batches, 2))
    crew = _Crew(chain(ahead, batches), courier, report)
    if len(ahead) < 2 or in_flight == 1:
        crew.work()
    else:
        crew.run(in_flight)
    if crew.failed is not None:
        raise crew.failed


class _Crew:
    """Threads that take one batch after another until there are no more; once something failed, none takes a further.

    One begins, and another joins it for as long as this process mostly waits for answers: towards a SIEM that answers
    at once, several threads only stand in each other's way (a fifth more CPU, and no faster).
    """

    def __init__(self, batches: Iterator[Batch], courier: _Courier, report: DrainReport) -> None:
        self._batches = batches
        self._courier = courier
        self._report = report
        self._lock = threading.Lock()
        self._threads: list[Thread] = []
        self.failed: BaseException | None = None

    def run(self, at_most: int) -> None:
        try:
            self._hire()
            while len(self._threads) < at_most and self._threads[-1].is_alive():
                began_s, cpu_s = time.monotonic(), time.process_time()
                self._threads[-1].join(LOOK_S)
                if time.process_time() - cpu_s < BUSY_SHARE * (time.monotonic() - began_s):
                    self._hire()
            self._join()
        except BaseException as error:  # the run is told to end: what flies is waited for, so that its answer counts
            self._stop(error)
            self._join()
            raise

    def work(self) -> None:
        try:
            while (batch := self._next()) is not None:
                ack = self._courier.deliver(batch)
                with self._lock:
                    self._report.note(batch, ack)
        except BaseException as error:
            self._stop(error)

    def _hire(self) -> None:
        thread = Thread(target=self.work, name=f"deliver_{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _stop(self, error: BaseException) -> None:
        with self._lock:
            self.failed = self.failed or error

    def _next(self) -> Batch | None:
        with self._lock:
            return None if self.failed is not None else next(self._batches, None)


class _Courier:
    """Takes one batch to its end: acknowledged in the journal, or an error."""

    def __init__(
        self,
        unit: Unit,
        destination: Destination,
        dead_letters: DeadLetterStore,
        source_name: str,
        clock: Callable[[], float],
    ) -> None:
        self._unit = unit
        self._destination = destination
        self._dead_letters = dead_letters
        self._source_name = source_name
        self._clock = clock
        self.shipped: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._refused: Counter[str] = Counter()
        self._took_something = False

    def took(self) -> None:
        """The SIEM has taken something in this drain, so what it refuses is not for its configuration."""
        self._took_something = True

    def refused(self, why: str) -> None:
        """One more event refused by itself. Raises DestinationBlocked where that is all the SIEM does, however the events
        are cut into batches: a backlog must not become dead letters one batch after the other."""
        with self._lock:
            self._refused[why] += 1
            alike = len(self._refused) == 1 and self._refused[why] >= REFUSES_EVERYTHING
        if alike and not self._took_something:
            raise self._error(Blocked(f"every event, in the same words: {why}"))

    def deliver(self, batch: Batch) -> Ack:
        reach("deliver.before_send")
        outcome = self._destination.send(batch)
        reach("deliver.after_send")
        if isinstance(outcome, Delivered | Duplicate):
            self.took()
        if isinstance(outcome, Delivered):
            ack = self._ack(batch, "delivered", delivered=batch.count, status=outcome.status)
        elif isinstance(outcome, Duplicate):
            ack = self._ack(batch, "duplicate", duplicate=batch.count, status=outcome.status)
        elif isinstance(outcome, Split | Rejected):
            ack = self._in_parts(batch, outcome)
        else:
            raise self._error(outcome)
        self._unit.acknowledge(ack)
        if ack.delivered:
            self.shipped[ack.status] += ack.delivered
        log.debug("%s: batch %s of %d events: %s", self._source_name, batch.batch_id, batch.count, ack.status)
        return ack

    def _in_parts(self, batch: Batch, outcome: Split | Rejected) -> Ack:
        """Halve until every record is taken or known to be guilty. The guilty are kept before the journal says so."""
        records = self._destination.split(igzip.decompress(batch.body), batch.count)
        joined = b"".join(batch.digests.values())
        parts = _Parts(self, batch)
        parts.resolve(batch.batch_id, list(enumerate(records)), outcome)
        letters = [
            DeadLetter(
                event=self._destination.event_of(records[index]),
                reason=why,
                status=why.split(":")[0],
                batch_id=batch.batch_id,
                digest=joined[16 * index : 16 * index + 16].hex(),
                destination=self._destination.describe(),
                at_ms=self._now_ms(),
            )
            for index, why in sorted(parts.guilty.items())
        ]
        if letters:
            reach("dead_letters.before_write")
            self._dead_letters.add(letters)
            reach("dead_letters.after_write")
        dead = len(letters)
        kind = "dead-lettered" if dead == batch.count else "mixed" if dead else "delivered"
        return self._ack(
            batch, kind, delivered=batch.count - dead, dead=dead, status=parts.status, attempts=parts.attempts
        )

    def send_part(self, batch: Batch, batch_id: str, records: list[bytes]) -> Outcome:
        body = self._destination.join(records)
        part = msgspec.structs.replace(
            batch, batch_id=batch_id, count=len(records), body=pack(body), body_bytes=len(body), digests={}
        )
        return self._destination.send(part)

    def error_of(self, outcome: Outcome) -> Exception:
        return self._error(outcome)

    def _error(self, outcome: Outcome) -> DestinationUnavailable | DestinationBlocked:
        where = f"{self._source_name}: {self._destination.describe()}"
        why = getattr(outcome, "why", str(outcome))
        if isinstance(outcome, Blocked):
            return DestinationBlocked(f"{where}: the SIEM refuses: {why}; {ADVICE}")
        return DestinationUnavailable(
            f"{where}: the SIEM does not take events: {why}; they wait in the spool and are sent again",
            retry_after_s=getattr(outcome, "after_s", None),
        )

    def _ack(
        self,
        batch: Batch,
        outcome: str,
        *,
        status: str,
        delivered: int = 0,
        duplicate: int = 0,
        dead: int = 0,
        attempts: int = 1,
    ) -> Ack:
        return Ack(
            seq=batch.seq,
            batch_id=batch.batch_id,
            outcome=outcome,
            delivered=delivered,
            duplicate=duplicate,
            dead=dead,
            status=status,
            attempts=attempts,
            at_ms=self._now_ms(),
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


class _Parts:
    """The bisection of one batch. Children are named `<batch id>.0` and `.1`, again and again the same."""

    def __init__(self, courier: _Courier, batch: Batch) -> None:
        self._courier = courier
        self._batch = batch
        self.guilty: dict[int, str] = {}
        self.attempts = 1
        self.status = ""

    def resolve(self, batch_id: str, records: list[tuple[int, bytes]], outcome: Outcome) -> None:
        """Settle records that got `outcome` when sent together. Raises DeliverError for what is not their fault."""
        if isinstance(outcome, Delivered | Duplicate):
            self._courier.took()
            self.status = outcome.status
            return
        if not isinstance(outcome, Split | Rejected):
            raise self._courier.error_of(outcome)
        if len(records) == 1:
            self._convict(records[0][0], outcome.why)
            return
        middle = len(records) // 2
        for number, half in enumerate((records[:middle], records[middle:])):
            child = f"{batch_id}.{number}"
            self.attempts += 1
            self.resolve(child, half, self._courier.send_part(self._batch, child, [record for _, record in half]))

    def _convict(self, index: int, why: str) -> None:
        self.guilty[index] = why
        self.status = self.status or why.split(":")[0]
        self._courier.refused(why)
