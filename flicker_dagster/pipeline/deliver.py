"""Deliver: drain the spool into the SIEM and, when every batch is acknowledged, commit.

Order of the commit (DESIGN, section 2): journal → ledger → registry → (Dagster) materialisation → sensor cursor. Each
step may be killed before or after: what follows is re-done and recognised by journal or ledger.
"""

from __future__ import annotations

import logging

import msgspec

from flicker_dagster.deliver.drain import DrainReport, drain
from flicker_dagster.errors import StateError
from flicker_dagster.failpoints import reach
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.work import LIVE, SourceWork
from flicker_dagster.state.digests import split
from flicker_dagster.state.spool import SpoolUnit
from flicker_dagster.types import Position, Window

log = logging.getLogger("flicker.deliver")

#: What is summed up over the deliveries of a window that exceeds one run's budget.
EARLY_COUNTS = ("batches", "delivered", "duplicate", "dead", "bytes", "attempts")


class LiveReport(msgspec.Struct, frozen=True):
    """A live unit delivered and committed: the position moved from `start` to `end` (equal if the walk is unfinished)."""

    start: Position
    end: Position
    tally: Tally
    drained: DrainReport
    complete: bool
    redeliver: bool
    sent_by_another: int = 0  # events sent here that another Flicker had sent meanwhile
    registry_moved: bool = False  # by another Flicker, or by hand


class WindowReport(msgspec.Struct, frozen=True):
    """A window delivered and committed: everything the vendor has of it is in the SIEM."""

    window: Window
    tally: Tally
    drained: DrainReport
    began_ms: int  # when the reading of the window began, by the vendor's clock
    sent_by_another: int = 0
    redeliver: bool = False  # shipped again by order: what counts as new was not missing


def deliver_live(work: SourceWork) -> LiveReport:
    """Drain the spool and commit the live unit. Raises DeliverError with everything unacknowledged still in the spool.

    An event that waits in a window's unit counts as known to live collection, so the position may pass it only when it
    is in the SIEM as well, and in the ledger.
    """
    unit = work.live
    acknowledged = _acknowledged(unit)
    drained = drain_unit(work, unit)
    for other in _drained_others(work, unit):
        work.ledger.add(other.digests())
        other.clear(other.state)  # what it holds of the spool's cap is free; its window is still to be certified
    state = unit.state
    if state is None or state.base is None or state.frontier is None:
        raise StateError(
            f"{work.source.name}: nothing was fetched into the spool before this delivery; run fetch first"
        )
    sent_by_another = _commit_ledger(work, unit, acknowledged)
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
    tally = Tally.of(state.tally) if state.tally else Tally()
    return LiveReport(
        start=state.base,
        end=state.frontier,
        tally=tally,
        drained=drained,
        complete=state.complete,
        redeliver=state.redeliver,
        sent_by_another=sent_by_another,
        registry_moved=tally.registry_moved or stands != state.frontier,
    )


def deliver_window(work: SourceWork, window: Window) -> WindowReport:
    """Drain what live collection and other windows left waiting, then the window's unit, and commit it.

    A window is certified only when nothing of it waits anywhere, so the other units come first; their own commit is
    left to their own runs: only the live run knows the position.
    """
    unit = work.spool.unit(window.key)
    _drained_others(work, unit)
    acknowledged = _acknowledged(unit)
    drained = drain_unit(work, unit)
    state = unit.state
    if state is None or not state.complete:
        raise StateError(f"{work.source.name}: window {window.key} was not read to its end; run fetch again")
    sent_by_another = _commit_ledger(work, unit, acknowledged)
    tally = Tally.of(state.tally)
    for name, count in tally.early.items():
        setattr(drained, name, getattr(drained, name) + count)
    unit.remove()
    reach("commit.after_clear")
    began_ms = state.began_ms or work.now_ms()
    return WindowReport(window, tally, drained, began_ms, sent_by_another, state.redeliver)


def deliver_early(work: SourceWork, window: Window) -> None:
    """Deliver and commit what was read of a window so far, and make room to read on: it exceeds one run's budget."""
    unit = work.spool.unit(window.key)
    _drained_others(work, unit)
    acknowledged = _acknowledged(unit)
    drained = drain_unit(work, unit)
    _commit_ledger(work, unit, acknowledged)
    state = unit.state
    if state is not None:
        tally = Tally.of(state.tally) if state.tally else Tally()
        for name in EARLY_COUNTS:
            tally.early[name] = tally.early.get(name, 0) + getattr(drained, name)
        unit.clear(msgspec.structs.replace(state, tally=tally.as_counts()))
    reach("commit.after_clear")


def drain_unit(work: SourceWork, unit: SpoolUnit) -> DrainReport:
    """Send every batch that waits in a unit, in order. Raises DeliverError at the first that the SIEM does not take."""
    return drain(
        unit,
        work.destination,
        dead_letters=work.dead_letters,
        source_name=work.source.name,
        in_flight=work.source.destination.max_in_flight,
        clock=work.clock,
    )


def _drained_others(work: SourceWork, unit: SpoolUnit) -> list[SpoolUnit]:
    """Every other unit of the source, drained."""
    others = [work.spool.unit(name) for name in work.spool.units() if name != unit.name]
    for other in others:
        drain_unit(work, other)
    return others


def waiting_events(work: SourceWork) -> int:
    """How many fetched events wait for the SIEM, in all units of the source."""
    return sum(work.spool.unit(name).waiting.events for name in {LIVE, *work.spool.units()})


def _acknowledged(unit: SpoolUnit) -> set[int]:
    return {ack.seq for ack in unit.acks()}


def _commit_ledger(work: SourceWork, unit: SpoolUnit, acknowledged_before: set[int]) -> int:
    """Write the unit's ids down. Gives how many events this drain sent that are in the ledger all the same: nobody but
    another Flicker on the same state can have put them there since they were fetched."""
    reach("commit.before_ledger")
    there = work.ledger.add(unit.digests())
    reach("commit.after_ledger")
    if not there or unit.state is None or unit.state.redeliver:
        return 0
    sent = b"".join(unit.digests(but=acknowledged_before).values())
    twice = len(there.intersection(split(sent)))
    if twice:
        log.warning(
            "%s: %d events were sent by another Flicker at the same time; run one per registry", work.source.name, twice
        )
    return twice
