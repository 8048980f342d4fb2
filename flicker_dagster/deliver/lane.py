"""A lane's delivery: send what waits in its queue, several requests in flight, each answer journalled at once.

A failure stops the lane with everything unsettled still in the spool. What is sent again, by this run or the next, is the
same part of the same lot: the same bytes under the same key.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Protocol

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.learned import LearnedLimits
from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.deliver.sending import DeadLetterStore, Sender
from flicker_dagster.errors import FlickerError
from flicker_dagster.failpoints import reach
from flicker_dagster.lots import Awaiting, Lot, Receipt
from flicker_dagster.types import Settled

log = logging.getLogger("flicker.deliver")

#: How often the workers are looked at, and the share of a CPU below which this process mostly waits.
LOOK_S = 0.01
BUSY_SHARE = 0.5

#: A run that is told to end notices it after so long at most.
HEED_S = 0.5

#: What was taken and not confirmed is asked of again at the end of a run, where that is due within so many seconds; and how
#: often a destination is asked at most.
ASKED_WITHIN_S = 2.0
ASK_EVERY_S = 1.0


class LaneQueue(Protocol):
    """A unit of the spool as one lane sees it. Thread-safe but for `pending`."""

    def pending(self) -> Iterator[Lot]:
        """What is neither settled nor under a receipt, oldest first: of each lot the unsettled events between two cuts.

        Each part is read when it is asked for, after it is safe on the disk; a cut made meanwhile in another lot counts.
        """
        ...

    def settle(self, lot: Lot, settled: Settled) -> None:
        """Write down what became of these events. When it returns it is on the disk. Raises StateError."""
        ...

    def cut(self, lot: Lot, place: int) -> None:
        """The lot is sent in parts from now on: what lies before `place`, and what lies from there on."""
        ...

    def leave_whole(self, lot: Lot) -> None:
        """These events were sent together and nobody answered: they go in just this part again, or not at all."""
        ...

    def is_left_whole(self, lot: Lot) -> bool: ...

    @property
    def awaiting_events(self) -> int:
        """How many events were taken and are not confirmed yet."""
        ...

    def awaiting(self) -> list[Awaiting]:
        """Their parts, with the receipts."""
        ...

    def receive(self, lot: Lot, receipt: Receipt, *, at_ms: int) -> None:
        """These events were taken and are asked about later."""
        ...

    def expire(self, lot: Lot) -> None:
        """Nobody will ever confirm these events: they wait again."""
        ...


def deliver_lane(
    queue: LaneQueue,
    destination: Destination,
    *,
    stream: str,
    lane: str = "",
    dead_letters: DeadLetterStore,
    known: Callable[[Lot], list[int]] | None = None,
    learned: LearnedLimits | None = None,
    took_before: bool = False,
    may_send: Callable[[], None] | None = None,
    settled: Callable[[Lot], None] | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    wait_for_receipts_s: float = ASKED_WITHIN_S,
) -> LaneReport:
    """Deliver everything that waits. Never raises DeliverError: `failed` of the report holds what stopped it.

    `known` gives the indices of a part's events that need not be sent, asked just before. `took_before`: the destination
    has taken something else in this run, so what it refuses is not for its configuration. `may_send` is called before each
    request and raises where none may be sent any more; `settled` is told what was written down. Raises whatever else goes
    wrong (StateError), after the answers of what is under way were written down.
    """
    report = LaneReport(lane=lane)
    sender = Sender(
        queue,
        destination,
        stream=stream,
        lane=lane,
        dead_letters=dead_letters,
        known=known,
        learned=learned or LearnedLimits(),
        took_before=took_before,
        may_send=may_send,
        settled=settled,
        report=report,
        clock=clock,
    )
    try:
        _ask_for_receipts(queue, destination, sender, clock)
        workers = _Workers(queue.pending(), sender, sleep)
        workers.run(destination.limits.in_flight)
        if workers.failed is None:
            workers.attempt(sender.finish)
        report.failed = workers.failed if isinstance(workers.failed, FlickerError) else None
        if workers.failed is not None and report.failed is None:
            raise workers.failed
        if report.failed is None:
            _wait_for_receipts(queue, destination, sender, clock, sleep, wait_for_receipts_s)
    finally:
        report.awaiting = queue.awaiting_events
        sender.tell()
    return report


def _ask_for_receipts(queue: LaneQueue, destination: Destination, sender: Sender, clock: Callable[[], float]) -> None:
    """Ask about every receipt that is due; what expired waits again."""
    if not queue.awaiting_events:
        return
    now_ms = int(clock() * 1000)
    due: dict[str, list[Awaiting]] = {}
    for each in queue.awaiting():
        age_s = (now_ms - each.at_ms) / 1000
        if age_s >= each.receipt.ask_after_s or age_s < 0:
            due.setdefault(each.receipt.token, []).append(each)
    if not due:
        return
    answered = destination.confirm([awaiting[0].receipt for awaiting in due.values()])
    reach("lane.confirmed")
    for token, parts in due.items():
        outcome = answered.get(token)
        for each in parts:
            age_s = (now_ms - each.at_ms) / 1000
            if outcome is not None:
                sender.confirmed(each.lot, outcome)
            elif age_s >= each.receipt.expires_s or age_s < 0:
                lot = each.lot
                log.warning("%s: %d events were taken and never confirmed; they are sent again", sender.who, len(lot))
                queue.expire(lot)


def _wait_for_receipts(
    queue: LaneQueue,
    destination: Destination,
    sender: Sender,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    at_most_s: float,
) -> None:
    """Ask again about what is due or becomes so soon. What is not confirmed by then is for the next run."""
    until_s = clock() + at_most_s
    while queue.awaiting_events:
        due_s = min(each.at_ms / 1000 + each.receipt.ask_after_s for each in queue.awaiting())
        wait_s = max(due_s - clock(), ASK_EVERY_S)
        if clock() + wait_s > until_s:
            return
        sleep(wait_s)
        _ask_for_receipts(queue, destination, sender, clock)


class _Workers:
    """Threads that take one part after another until there are no more; once the lane failed, none takes a further.

    One begins, and another joins it for as long as this process mostly waits for answers: towards a destination that
    answers at once, several threads only stand in each other's way (a fifth more CPU, and no faster).
    """

    def __init__(self, parts: Iterator[Lot], sender: Sender, sleep: Callable[[float], None]) -> None:
        self._parts = parts
        self._sender = sender
        self._sleep = sleep
        self._changed = threading.Condition()
        self._again: deque[tuple[Lot, float]] = deque()  # parts to be sent (again), with the wait before it
        self._under_way = 0
        self._begun = self._ended = 0  # threads, by their own word
        self.failed: BaseException | None = None

    def run(self, at_most: int) -> None:
        first = self._take()
        if first is None:
            return
        with self._changed:
            self._again.appendleft(first)
            self._under_way -= 1
        if at_most == 1:
            self._work()
            return
        try:
            started = 1
            self._start()
            while started < at_most and not self._ended:
                began_s, cpu_s = time.monotonic(), time.process_time()
                with self._changed:
                    self._changed.wait_for(lambda: self._ended > 0, LOOK_S)
                if time.process_time() - cpu_s < BUSY_SHARE * (time.monotonic() - began_s):
                    self._start()
                    started += 1
            self._wait_until(lambda: self._ended == started)
        except (
            BaseException
        ) as error:  # the run is told to end: what is under way is waited for, so that its answer counts
            self._stop(error)
            self._wait_until(lambda: self._ended == self._begun)  # who begins later finds that there is nothing to do
            raise

    def attempt(self, last: Callable[[], None]) -> None:
        """Do it once all is sent; it may fail the lane as well."""
        try:
            last()
        except FlickerError as error:
            self._stop(error)

    def _start(self) -> None:
        Thread(target=self._run, name="deliver", daemon=True).start()

    def _wait_until(self, happened: Callable[[], bool]) -> None:
        """Not by `Thread.join`: one that a signal interrupts takes its thread for ended (Python 3.10 to 3.12). A signal that
        comes just before a wait is heeded after it, so none is long."""
        with self._changed:
            while not self._changed.wait_for(happened, HEED_S):
                pass

    def _run(self) -> None:
        with self._changed:
            self._begun += 1
        self._work()
        with self._changed:
            self._ended += 1
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while (taken := self._take()) is not None:
                lot, wait_s = taken
                left: list[tuple[Lot, float]] = []
                try:
                    if wait_s:
                        self._sleep(wait_s)
                    left = self._sender.send(lot)
                finally:
                    self._finish(left)
        except BaseException as error:
            self._stop(error)

    def _finish(self, left: list[tuple[Lot, float]]) -> None:
        with self._changed:
            self._under_way -= 1
            for part, wait_s in reversed(left):
                if wait_s:
                    self._again.append((part, wait_s))
                else:  # the parts of a lot follow each other
                    self._again.appendleft((part, wait_s))
            self._changed.notify_all()

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            self.failed = self.failed or error
            self._changed.notify_all()

    def _take(self) -> tuple[Lot, float] | None:
        """The next part; None once there are no more, and none that is under way can leave some behind."""
        with self._changed:
            while self.failed is None:
                taken = self._again.popleft() if self._again else None
                if taken is None:
                    lot = next(self._parts, None)
                    taken = None if lot is None else (lot, 0.0)
                if taken is not None:
                    self._under_way += 1
                    return taken
                if not self._under_way:
                    return None
                self._changed.wait()
            return None
