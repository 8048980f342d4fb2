"""One part of a lot taken to its end: settled in the journal, cut in two, put back, or an error that stops the lane."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.learned import LearnedLimits, parts_for
from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Receipt,
    Rejected,
    Retry,
    Split,
    name_of,
)
from flicker_dagster.deliver.refused import NEVER_SENT, Reason, Reasons, Refusals, RefusesEverything, letters_of
from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.errors import DestinationBlocked, DestinationUnavailable
from flicker_dagster.failpoints import reach
from flicker_dagster.lots import Lot
from flicker_dagster.types import DeadLetter, Settled

if TYPE_CHECKING:
    from flicker_dagster.deliver.lane import LaneQueue

log = logging.getLogger("flicker.deliver")

#: Attempts at one part within a run, failures in a row that stop the lane, and the longest wait within a run. A destination
#: that has taken nothing yet is left to the run's own retries at once.
MOST_ATTEMPTS = 6
MOST_IN_A_ROW = 4
LONGEST_WAIT_S = 5.0
FIRST_WAIT_S = 0.1

ADVICE = (
    "everything waits in the spool; fix the destination's credentials, permission or address, then it goes on by itself"
)


#: A part that is still to be sent, and the seconds to wait before that.
Left = list[tuple[Lot, float]]


class DeadLetterStore(Protocol):
    def add(self, letters: list[DeadLetter]) -> list[str]: ...


class Sender:
    """Sends parts, one call each; several threads may. `report` is filled in on the way."""

    def __init__(
        self,
        queue: LaneQueue,
        destination: Destination,
        *,
        stream: str,
        lane: str,
        dead_letters: DeadLetterStore,
        known: Callable[[Lot], list[int]] | None,
        learned: LearnedLimits,
        took_before: bool,
        may_send: Callable[[], None] | None,
        settled: Callable[[Lot], None] | None,
        report: LaneReport,
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._destination = destination
        self.who = f"{stream}@{lane}" if lane else stream
        self._shipped_to = f"SIEM @{lane}" if lane else "SIEM"
        self._dead_letters = dead_letters
        self._known = known
        self._learned = learned
        self._may_send = may_send
        self._told_settled = settled
        self._report = report
        self._clock = clock
        self._lock = threading.Lock()
        self._attempts: dict[tuple[int, int], int] = {}  # at a part, by its lot's number and first place
        self._in_a_row = 0
        self._shipped: Counter[str] = Counter()
        self._refusals = Refusals(self._keep_as_dead, took_before=took_before)

    def send(self, lot: Lot) -> Left:
        """One attempt at a part. Gives what of it is still to be sent. Raises DeliverError where nothing further is to be
        sent for now, StateError where an answer cannot be written down."""
        attempt = self._attempts.get(_part(lot), 0)
        if not attempt:
            lot = self._without_unfit(self._without_known(lot))
        if not len(lot):
            return []
        if len(lot) > 1 and self._is_too_large(lot):
            return self._in_parts(lot, parts_for(lot, self._destination.limits, self._learned))
        if self._may_send is not None:
            self._may_send()
        reach("deliver.before_send")
        outcome = self._destination.send(lot)
        reach("deliver.after_send")
        with self._lock:
            self._report.requests += 1
            self._report.bytes += lot.size_bytes
            self._report.statuses[name_of(outcome)] += 1
            self._report.last_answer = name_of(outcome)
        return self._heed(lot, outcome, attempt + 1)

    def confirmed(self, lot: Lot, outcome: Outcome) -> None:
        """An answer that came later. What was not taken waits again."""
        self._report.last_answer = name_of(outcome)
        if isinstance(outcome, Delivered | Duplicate):
            self._settle(lot, outcome, 1)
        elif isinstance(outcome, Rejected) and len(lot) == 1:
            self._reject(lot, {0: _reason(outcome)})
        elif isinstance(outcome, PerItem):
            self._confirmed_items(lot, outcome)
        else:
            self._queue.expire(lot)

    def _confirmed_items(self, lot: Lot, answer: PerItem) -> None:
        by_kind = _by_kind(answer)
        for kind in (Delivered, Duplicate):
            if kind in by_kind:
                self._settle(lot.part(by_kind[kind]), answer.items[by_kind[kind][0]], 1)
        rejected = {i: _reason(item) for i, item in enumerate(answer.items) if isinstance(item, Rejected)}
        if rejected:  # one of several, by the destination's own word: that is not the configuration
            self._keep_as_dead(lot, rejected)
        self._queue.expire(lot)  # as it was received: what was not settled just now waits again

    def finish(self) -> None:
        """Everything that could be sent was sent. Raises DestinationBlocked where all of it was refused."""
        try:
            self._refusals.finish()
        except RefusesEverything as refuses:
            raise self._refused_everything(refuses) from None

    def tell(self) -> None:
        """The log lines of a delivery."""
        for status, events in sorted(self._shipped.items()):
            log.info("Shipped %d events to %s (%s)", events, self._shipped_to, status)
        if self._report.dead:
            log.warning("%s: %d events were refused for good and kept as dead letters", self.who, self._report.dead)

    # -- before

    def _without_known(self, lot: Lot) -> Lot:
        found = self._known(lot) if self._known is not None else []
        if not found:
            return lot
        self._write_down(lot.part(found), Settled(known=len(found)))
        return _but(lot, found)

    def _without_unfit(self, lot: Lot) -> Lot:
        unfit = self._destination.unfit(lot) if len(lot) else {}
        if not unfit:
            return lot
        self._keep_as_dead(lot, {index: Reason(f"{NEVER_SENT}: {why}", NEVER_SENT) for index, why in unfit.items()})
        return _but(lot, unfit)

    def _is_too_large(self, lot: Lot) -> bool:
        limits = self._destination.limits
        if self._queue.is_left_whole(lot):
            return False
        return len(lot) > limits.events or lot.size_bytes > limits.bytes or self._learned.too_large(lot)

    # -- after

    def _heed(self, lot: Lot, outcome: Outcome | Receipt, attempt: int) -> Left:
        if isinstance(outcome, Delivered | Duplicate):
            self._settle(lot, outcome, attempt)
            self._took(lot)
            return []
        if isinstance(outcome, Receipt):
            self._queue.receive(lot, outcome, at_ms=self._now_ms())
            self._took(lot)
            return []
        if isinstance(outcome, PerItem):
            return self._heed_items(lot, outcome, attempt)
        if isinstance(outcome, Split | Rejected):
            teaches = isinstance(outcome, Split) and outcome.teaches
            if teaches:
                self._learned.learn(lot, now_ms=self._now_ms())
            if len(lot) > 1:
                return self._in_parts(lot, self._learned.parts_for(lot) if teaches else 2)
            self._reject(lot, {0: _reason(outcome)})
            return []
        return self._put_back(lot, outcome, attempt)

    def _heed_items(self, lot: Lot, answer: PerItem, attempt: int) -> Left:
        """Each event's own answer: what was settled is written down before anything else is heeded."""
        by_kind = _by_kind(answer)
        for kind in (Delivered, Duplicate):
            if kind in by_kind:
                self._settle(lot.part(by_kind[kind]), answer.items[by_kind[kind][0]], attempt)
                reach("lane.between_items")
        if answer.took or Delivered in by_kind or Duplicate in by_kind:
            self._took()
        rejected = {i: _reason(item) for i, item in enumerate(answer.items) if isinstance(item, Rejected | Split)}
        if rejected:
            self._reject(lot, rejected)
        if len(by_kind.get(Ambiguous, ())) > 1:
            self._queue.leave_whole(lot.part(by_kind[Ambiguous]))
        for kind in (Blocked, Retry, Ambiguous):
            if kind in by_kind:
                left = [i for i, item in enumerate(answer.items) if isinstance(item, Blocked | Retry | Ambiguous)]
                if rejected and all(_is_at_once(answer.items[i]) for i in left):
                    return [(lot.part(left), 0.0)]  # only what was refused stood in their way
                return self._put_back(lot.part(left), answer.items[by_kind[kind][0]], attempt)
        return []

    def _put_back(self, lot: Lot, outcome: Outcome, attempt: int) -> Left:
        """Not taken for now: once more within this run where that is likely to help, else an error."""
        if isinstance(outcome, Blocked):
            raise self._error(outcome)
        if isinstance(outcome, Ambiguous) and len(lot) > 1:
            self._queue.leave_whole(lot)
        asked_s = outcome.after_s if isinstance(outcome, Retry) else None
        with self._lock:
            self._in_a_row += 1
            self._attempts[_part(lot)] = attempt
            hopeless = not self._refusals.took_something or self._in_a_row >= MOST_IN_A_ROW or attempt >= MOST_ATTEMPTS
        if hopeless or (asked_s or 0) > LONGEST_WAIT_S:
            raise self._error(outcome)
        return [(lot, FIRST_WAIT_S * 2 ** (attempt - 1) if asked_s is None else max(asked_s, FIRST_WAIT_S))]

    def _in_parts(self, lot: Lot, count: int) -> Left:
        edges = [len(lot) * number // count for number in range(count + 1)]
        for edge in edges[1:-1]:
            self._queue.cut(lot, lot.places[edge])
        return [(lot.part(range(start, stop)), 0.0) for start, stop in pairwise(edges)]

    def _took(self, whole: Lot | None = None) -> None:
        """The destination has taken something in this delivery (all of `whole`), so what it refuses is not for its
        configuration: what it refused before is set aside. To be called once what was taken is written down."""
        if whole is not None:
            self._learned.took(whole)
        with self._lock:
            self._in_a_row = 0
        self._refusals.took()

    def _reject(self, lot: Lot, reasons: Reasons) -> None:
        """Events refused by themselves. Raises DestinationBlocked where that is all the destination does."""
        try:
            self._refusals.add(lot, reasons)
        except RefusesEverything as refuses:
            raise self._refused_everything(refuses) from None

    def _refused_everything(self, refuses: RefusesEverything) -> DestinationUnavailable | DestinationBlocked:
        return self._error(Blocked(f"every event, in the same words: {refuses}"))

    def _keep_as_dead(self, lot: Lot, reasons: Reasons) -> None:
        """In this order: killed in between, the same events make the same letters again."""
        letters = letters_of(lot, reasons, destination=self._destination.describe(), at_ms=self._now_ms())
        reach("dead_letters.before_write")
        self._dead_letters.add(letters)
        reach("dead_letters.after_write")
        self._write_down(lot.part(sorted(reasons)), Settled(dead=len(letters), status=letters[0].status))

    def _settle(self, lot: Lot, outcome: Outcome, attempts: int) -> None:
        if isinstance(outcome, Duplicate):
            settled = Settled(duplicate=len(lot), status=outcome.status, attempts=attempts)
        else:
            assert isinstance(outcome, Delivered)
            settled = Settled(delivered=len(lot), status=outcome.status, attempts=attempts)
        self._write_down(lot, settled)
        if settled.delivered:
            with self._lock:
                self._shipped[settled.status] += settled.delivered

    def _write_down(self, lot: Lot, settled: Settled) -> None:
        self._queue.settle(lot, settled)
        with self._lock:
            self._report.note(settled)
        if self._told_settled is not None:
            self._told_settled(lot)
        log.debug("%s: lot %s, %d events: %s", self.who, lot.lot_id, len(lot), settled.status)

    def _error(self, outcome: Outcome) -> DestinationUnavailable | DestinationBlocked:
        where = f"{self.who}: {self._destination.describe()}"
        why = getattr(outcome, "why", str(outcome))
        if isinstance(outcome, Blocked):
            return DestinationBlocked(f"{where}: the SIEM refuses: {why}; {ADVICE}")
        return DestinationUnavailable(
            f"{where}: the SIEM does not take events: {why}; they wait in the spool and are sent again",
            retry_after_s=getattr(outcome, "after_s", None),
        )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _by_kind(answer: PerItem) -> dict[type, list[int]]:
    found: dict[type, list[int]] = {}
    for index, item in enumerate(answer.items):
        found.setdefault(type(item), []).append(index)
    return found


def _is_at_once(outcome: Outcome) -> bool:
    return isinstance(outcome, Retry) and outcome.after_s == 0


def _reason(outcome: Rejected | Split) -> Reason:
    return Reason(outcome.why, name_of(outcome))


def _part(lot: Lot) -> tuple[int, int]:
    return lot.seq, lot.places[0] if len(lot) else -1


def _but(lot: Lot, left_out: object) -> Lot:
    out = set(left_out)  # type: ignore[call-overload]
    return lot.part([index for index in range(len(lot)) if index not in out])
