"""Every lane of a stream delivers what waits for it, side by side; what it settles reaches its ledger however it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import msgspec

from flicker_dagster.deliver.lane import ASKED_WITHIN_S, deliver_lane
from flicker_dagster.deliver.learned import LearnedLimits, Refused
from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.deliver.shape_counts import ShapeCounts
from flicker_dagster.errors import DeliverError, DestinationUnavailable, FlickerError, LeaseLost, SecretUnset
from flicker_dagster.failpoints import reach
from flicker_dagster.lots import Lot
from flicker_dagster.pipeline.lane_ledger import TOLD_EVERY_S, LaneLedger
from flicker_dagster.pipeline.lane_places import former_storages
from flicker_dagster.pipeline.lanes import LaneWork
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.lane_health import LaneHealth
from flicker_dagster.state.spool import SpoolUnit
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Settled

log = logging.getLogger("flicker.deliver")

#: How often whoever waits for lanes looks up, to heed signals.
WAKES_EVERY_S = 0.5

#: A lane that nobody waits for may keep so much of the spool's cap; beyond it, what waits for that lane is dropped.
OPTIONAL_SHARE = 0.5


def deliver_lanes(
    work: SourceWork, units: Sequence[SpoolUnit], *, wait_for_receipts_s: float = ASKED_WITHIN_S
) -> list[LaneReport]:
    """Each lane sends what waits for it in these units, in order. A lane's failure is in its report, and holds up no other.

    Raises StateError where progress cannot be written down, and LeaseLost where another run took over, after all lanes
    ended.
    """
    lanes = work.lanes
    _tell_of_former_lanes(work, units)
    for unit in units:
        for lane in lanes:
            unit.lane(lane.name)  # opened here: threads share it from now on
    stop = threading.Event()
    tasks = [_Task(work, lane, units, wait_for_receipts_s, stop, alone=len(lanes) == 1) for lane in lanes]
    run_all([task.run for task in tasks], stop)
    for task in tasks:
        if task.error is not None:
            raise task.error
        if isinstance(task.report.failed, LeaseLost):
            raise task.report.failed
    return [task.report for task in tasks]


def _tell_of_former_lanes(work: SourceWork, units: Sequence[SpoolUnit]) -> None:
    """What lanes of other names had settled before a crash reaches their ledgers: a lane that goes on with one of them under
    another name knows it from there alone."""
    names = {lane.name for lane in work.lanes}
    former = [(unit, name) for unit in units for name in unit.lanes_on_disk() if name not in names]
    if not former:
        return
    storages = former_storages(work.source.name, work.source.lanes, work.layout)
    ledgers = {lane.storage: lane.ledger for lane in work.lanes}
    for unit, name in former:
        storage = storages.get(name)
        settled = {} if storage is None else unit.lane(name).settled_digests()
        if storage is not None and settled:
            (ledgers.get(storage) or work.layout.ledger(work.source.name, storage)).add(settled)


class LaneStopped(FlickerError):
    """The run was told to end while this lane was sending: what is left waits for the next one."""


def run_all(tasks: list[Callable[[], None]], stop: threading.Event) -> None:
    """Run them at the same time, and wait for all. An interrupt sets `stop`, and goes out once every one has ended: nobody
    writes after the lock is given back."""
    if len(tasks) == 1:
        tasks[0]()
        return
    ended: list[threading.Event] = []  # of those that were started
    try:
        for number, task in enumerate(tasks):
            done = threading.Event()
            thread = threading.Thread(target=_until_done, args=(task, done), name=f"lane_{number}", daemon=True)
            thread.start()
            ended.append(done)
        _wait_for(ended)
    except BaseException:
        stop.set()
        _wait_for(ended)
        raise


def _until_done(task: Callable[[], None], done: threading.Event) -> None:
    try:
        task()
    finally:
        done.set()


def _wait_for(ended: list[threading.Event]) -> None:
    for done in ended:
        while not done.wait(WAKES_EVERY_S):  # a signal is heeded between two waits
            continue


class _Task:
    """One lane's delivery."""

    def __init__(
        self,
        work: SourceWork,
        lane: LaneWork,
        units: Sequence[SpoolUnit],
        wait_for_receipts_s: float,
        stop: threading.Event,
        *,
        alone: bool,
    ) -> None:
        self.lane = lane
        self.report = LaneReport(lane=lane.name)
        self.error: BaseException | None = None
        self._work = work
        self._units = units
        self._wait_for_receipts_s = wait_for_receipts_s
        self._stop = stop
        self._alone = alone

    def run(self) -> None:
        try:
            self._deliver()
        except BaseException as error:
            self.error = error
        reach("lane.ended")

    def _deliver(self) -> None:
        lane, work = self.lane, self._work
        health = lane.health.read()
        if not self._alone and health.rests(work.now_ms()):
            self.report.failed = _resting(work, lane, health)
            for unit in self._units:
                self._tell_ledger(unit)
        else:
            learned = LearnedLimits(
                tuple(Refused(*each) for each in health.refused), taken_bytes=health.taken_bytes, now_ms=work.now_ms()
            )
            answers = health.answers(lane.configured_as, now_ms=work.now_ms())
            for unit in self._units:
                if self.report.failed is None:
                    self._deliver_unit(unit, learned, took_before=answers)
                else:
                    self._tell_ledger(unit)
            self._remember(health, learned)
        self.report.shaped = getattr(lane.destination, "counts", ShapeCounts())
        self.report.waiting = sum(unit.waiting_of(lane.name).events for unit in self._units) - self.report.awaiting

    def _deliver_unit(self, unit: SpoolUnit, learned: LearnedLimits, *, took_before: bool) -> None:
        lane, work = self.lane, self._work
        queue = unit.lane(lane.name)
        if not queue.waiting_events:
            self._tell_ledger(unit)
            return
        ledger = LaneLedger(
            lane.ledger, told_every_s=TOLD_EVERY_S if work.layout.is_remote else None, elapsed=work.elapsed
        )
        try:
            found = deliver_lane(
                queue,
                lane.destination,
                stream=work.source.name,
                lane=lane.name,
                dead_letters=lane.dead_letters,
                known=_known_to(lane, unit, ledger),
                may_send=self._may_send,
                settled=ledger.settled,
                learned=learned,
                took_before=took_before or self.report.delivered + self.report.duplicate > 0,
                clock=work.clock,
                sleep=work.sleep,
                wait_for_receipts_s=self._wait_for_receipts_s,
            )
            self.report.add(found)
        finally:
            reach("commit.before_ledger")
            ledger.tell(queue.settled_digests())
            reach("commit.after_ledger")

    def _may_send(self) -> None:
        if self._stop.is_set():
            raise LaneStopped(f"{self._work.source.name}: the run is told to end; what waits is sent by the next one")
        self._work.fence.assure()

    def _tell_ledger(self, unit: SpoolUnit) -> None:
        """Nothing of this unit is sent now. An earlier run may have died between journal and ledger, and once the position
        has passed a lane that nobody waits for, only the ledger knows what it was sent."""
        self.lane.ledger.add(unit.lane(self.lane.name).settled_digests())

    def _remember(self, health: LaneHealth, learned: LearnedLimits) -> None:
        """What the next run wants to know of this lane."""
        now_ms = self._work.now_ms()
        failed = self.report.failed
        took = self.report.delivered + self.report.duplicate + self.report.awaiting > 0
        if took or (failed is None and health.failures):
            health = health.after_success(now_ms=now_ms, configured_as=self.lane.configured_as)
        if isinstance(failed, DeliverError):
            health = health.after_failure(str(failed), now_ms=now_ms, after_s=failed.retry_after_s)
        elif isinstance(failed, SecretUnset):  # nobody was asked: there is nothing to rest from
            health = health.after_failure(str(failed), now_ms=now_ms, after_s=0)
        if self.report.last_answer:
            health = health.after_answer(self.report.last_answer, now_ms=now_ms)
        refused = [(each.size_bytes, each.events, each.at_ms) for each in learned.refused]
        reach("lane.health.before_write")
        self.lane.health.write(msgspec.structs.replace(health, refused=refused, taken_bytes=learned.taken_bytes))
        reach("lane.health.after_write")


def give_up_what_is_optional(work: SourceWork, units: Sequence[SpoolUnit], reports: Sequence[LaneReport]) -> None:
    """Where lanes that nobody waits for keep too much of the spool, drop what waits for them, and count it in their reports.

    What is dropped is in the lane's ledger: reading a window again would take it for missing, and drop it again.
    """
    optional = [(lane, report) for lane, report in zip(work.lanes, reports) if not lane.required]
    if not optional or work.spool.used_bytes() <= work.source.limits.spool_bytes * OPTIONAL_SHARE:
        return
    for lane, report in optional:
        before = report.dropped
        for unit in units:
            queue = unit.lane(lane.name)
            for lot in [*queue.pending(), *(each.lot for each in queue.awaiting())]:
                settled = Settled(dropped=len(lot), status="dropped")
                reach("give_up.before_journal")
                queue.settle(lot, settled)
                reach("give_up.after_journal")
                report.note(settled)
            lane.ledger.add(queue.settled_digests())
        if report.dropped == before:
            continue
        report.waiting = report.awaiting = 0
        log.warning(
            "%s@%s: the spool is half full of what waits for this lane, which is not required: %d events were dropped",
            work.source.name,
            lane.name,
            report.dropped - before,
        )


def _resting(work: SourceWork, lane: LaneWork, health: LaneHealth) -> FlickerError:
    until = rfc3339_ms(health.rests_until_ms or 0)
    return DestinationUnavailable(
        f"{work.source.name}@{lane.name}: rests until {until} after {health.failures} failures in a row: {health.why}",
        retry_after_s=((health.rests_until_ms or 0) - work.now_ms()) / 1000,
    )


def _known_to(lane: LaneWork, unit: SpoolUnit, ledger: LaneLedger) -> Callable[[Lot], list[int]] | None:
    """Which events of a part need not be sent: those in the lane's ledger, and those from before its start.

    Asked just before they are sent: another machine may have delivered some since they were fetched. What is shipped again
    by order is not asked about.
    """
    state = unit.state
    again = state is not None and state.redeliver
    until_ms = None if state is None else state.redeliver_until_ms
    if again and until_ms is None:
        return None
    since_ms = None if state is not None and state.backfill else lane.since_ms

    def known(lot: Lot) -> list[int]:
        found = ledger.known(lot)
        if again and until_ms is not None:
            found = [i for i in found if (ms := lot.times_ms[i]) is None or ms > until_ms]
        if since_ms is None:
            return found
        early = {i for i, ms in enumerate(lot.times_ms) if ms is not None and ms < since_ms}
        return sorted(early.union(found)) if early else found

    return known
