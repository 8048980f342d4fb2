"""Deliver: every lane sends what waits and, when those that the position waits for have settled everything, commit.

Order of the commit: journals → ledgers → registry → (Dagster) materialisation → sensor cursor. Each step may be killed
before or after: what follows is re-done and recognised by journal or ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from flicker_dagster.deliver.lane import ASKED_WITHIN_S
from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.errors import DestinationUnavailable, StateError
from flicker_dagster.failpoints import reach
from flicker_dagster.pipeline.deliver_lanes import deliver_lanes, give_up_what_is_optional
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.work import LIVE, SourceWork
from flicker_dagster.state.spool import SpoolUnit
from flicker_dagster.types import Position, Window

log = logging.getLogger("flicker.deliver")

#: What is summed up over the deliveries of a window that exceeds one run's budget.
EARLY_COUNTS = ("requests", "delivered", "duplicate", "dead", "known", "dropped", "bytes")


class LiveReport(msgspec.Struct, frozen=True):
    """A live unit delivered: the position moved from `start` to `end`.

    They are equal where the walk is unfinished, and where a lane that the position waits for has not settled everything
    (`settled` is false then): its own report says why.
    """

    start: Position
    end: Position
    tally: Tally
    lanes: list[LaneReport]
    complete: bool
    redeliver: bool
    settled: bool = True
    registry_moved: bool = False  # by another Flicker, or by hand

    @property
    def drained(self) -> LaneReport:
        """All lanes together."""
        return in_all(self.lanes)


class WindowReport(msgspec.Struct, frozen=True):
    """A window delivered and committed: everything the vendor has of it is at every destination that is required."""

    window: Window
    tally: Tally
    lanes: list[LaneReport]
    began_ms: int  # when the reading of the window began, by the vendor's clock
    redeliver: bool = False  # shipped again by order: what counts as new was not missing

    @property
    def drained(self) -> LaneReport:
        """All lanes together."""
        return in_all(self.lanes)


def in_all(lanes: Sequence[LaneReport]) -> LaneReport:
    """Several lanes as one."""
    total = LaneReport()
    for lane in lanes:
        total.add(lane)
    return total


def deliver_live(work: SourceWork, *, wait_for_receipts_s: float = ASKED_WITHIN_S) -> LiveReport:
    """Deliver what waits in the spool and commit the live unit. Raises DeliverError, with everything unsettled still in the
    spool, where no lane that the position waits for has settled everything and one of them failed.

    An event that waits in a window's unit counts as known to live collection, so the position may pass it only when it
    is settled as well, and in the ledgers.
    """
    unit = work.live
    units = [unit, *_others(work, unit)]
    lanes = deliver_lanes(work, units, wait_for_receipts_s=wait_for_receipts_s)
    settled = _all_settled(work, units, lanes)
    state = unit.state
    if state is None or state.base is None or state.frontier is None:
        raise StateError(
            f"{work.source.name}: nothing was fetched into the spool before this delivery; run fetch first"
        )
    give_up_what_is_optional(work, units, lanes)
    tally = Tally.of(state.tally) if state.tally else Tally()
    if not settled:
        unit.append([], msgspec.structs.replace(state, tally={}))  # told now, and not again by the next run
        return LiveReport(
            start=state.base,
            end=state.base,
            tally=tally,
            lanes=lanes,
            complete=state.complete,
            redeliver=state.redeliver,
            settled=False,
            registry_moved=tally.registry_moved,
        )
    _let_go_of(units[1:])
    stands = work.registry.commit(work.source.name, state.frontier, seen=state.registry_seen)
    if stands != state.registry_seen:
        log.info("Registry saved to %s", work.registry.where)
    reach("commit.after_registry")
    cursor_noted = state.cursor_noted
    if stands.cursor is not None and stands == state.frontier and state.shape is not None and not cursor_noted:
        work.walk_notes.note(cursor_shape=state.shape)
        cursor_noted = True
    unit.clear(
        msgspec.structs.replace(
            state,
            base=state.frontier,
            registry_seen=stands,
            redeliver=state.redeliver and not state.complete,
            cursor_noted=cursor_noted,
            tally={},
        )
    )
    reach("commit.after_clear")
    return LiveReport(
        start=state.base,
        end=state.frontier,
        tally=tally,
        lanes=lanes,
        complete=state.complete,
        redeliver=state.redeliver,
        registry_moved=tally.registry_moved or stands != state.frontier,
    )


def deliver_window(work: SourceWork, window: Window) -> WindowReport:
    """Deliver what live collection and other windows left waiting, and the window's unit, and commit it.

    A window is certified only when nothing of it waits anywhere, so the other units come first; their own commit is
    left to their own runs: only the live run knows the position. Raises DeliverError where a lane that is required has
    not settled everything.
    """
    unit = work.spool.unit(window.key)
    others = _others(work, unit)
    lanes = _delivered(work, [*others, unit])
    state = unit.state
    if state is None or not state.complete:
        raise StateError(f"{work.source.name}: window {window.key} was not read to its end; run fetch again")
    tally = Tally.of(state.tally)
    for lane in lanes:
        for name in EARLY_COUNTS:
            setattr(lane, name, getattr(lane, name) + tally.early.get(f"{lane.lane}/{name}", 0))
    give_up_what_is_optional(work, [*others, unit], lanes)
    unit.remove()
    reach("commit.after_clear")
    return WindowReport(window, tally, lanes, state.began_ms or work.now_ms(), state.redeliver)


def deliver_early(work: SourceWork, window: Window) -> None:
    """Deliver and commit what was read of a window so far, and make room to read on: it exceeds one run's budget."""
    unit = work.spool.unit(window.key)
    lanes = _delivered(work, [*_others(work, unit), unit])
    state = unit.state
    if state is not None:
        tally = Tally.of(state.tally) if state.tally else Tally()
        give_up_what_is_optional(work, [unit], lanes)
        for lane in lanes:
            for name in EARLY_COUNTS:
                key = f"{lane.lane}/{name}"
                tally.early[key] = tally.early.get(key, 0) + getattr(lane, name)
        unit.clear(msgspec.structs.replace(state, tally=tally.as_counts()))
    reach("commit.after_clear")


def deliver_leftovers(work: SourceWork) -> list[LaneReport]:
    """Deliver what waits, and commit nothing. Failures are in the reports. Raises StateError."""
    unit = work.live
    return deliver_lanes(work, [unit, *_others(work, unit)])


def waiting_events(work: SourceWork) -> int:
    """How many fetched events wait for a lane that is required, in all units of the stream."""
    return sum(work.spool.unit(name).waiting.events for name in {LIVE, *work.spool.units()})


def _delivered(work: SourceWork, units: Sequence[SpoolUnit]) -> list[LaneReport]:
    """Every required lane settles everything in these units. Raises DeliverError."""
    lanes = deliver_lanes(work, units)
    for lane, report in zip(work.lanes, lanes):
        if lane.required and not report.done:
            raise report.failed or _not_confirmed(work, report)
    return lanes


def _all_settled(work: SourceWork, units: Sequence[SpoolUnit], lanes: Sequence[LaneReport]) -> bool:
    """Has every required lane settled everything? Raises the first one's error where all of them failed: a run that fails
    has its next one wait, so as long as one lane takes events (if only to confirm them later) it succeeds."""
    required = [report for lane, report in zip(work.lanes, lanes) if lane.required]
    failed = [(report, report.failed) for report in required if report.failed is not None]
    all_failed = len(failed) == len(required)
    for report, error in failed[1:] if all_failed else failed:
        log.error("%s", error.one_line(f"{work.source.name}@{report.lane}"))
    if all_failed:
        raise failed[0][1]
    return all(report.done for report in required)


def _not_confirmed(work: SourceWork, report: LaneReport) -> DestinationUnavailable:
    where = f"{work.source.name}@{report.lane}" if report.lane else work.source.name
    return DestinationUnavailable(
        f"{where}: {report.awaiting} events were taken and are not confirmed yet; the next attempt asks again"
    )


def _others(work: SourceWork, unit: SpoolUnit) -> list[SpoolUnit]:
    """Every other unit of the stream."""
    return [work.spool.unit(name) for name in work.spool.units() if name != unit.name]


def _let_go_of(units: Sequence[SpoolUnit]) -> None:
    """What windows' units hold of the spool's cap is free; the windows are still to be certified. A unit without a resume
    point was kept for a lane that is not required."""
    for unit in units:
        if unit.state is None and unit.is_settled:
            unit.remove()
        else:
            unit.clear(unit.state)
