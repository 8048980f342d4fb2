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


class WindowReport(msgspec.Struct, frozen=True):
    """A window delivered and committed: everything the vendor has of it is in the SIEM."""

    window: Window
    tally: Tally
    drained: DrainReport
    began_ms: int  # when the reading of the window began, by the vendor's clock


def deliver_live(work: SourceWork) -> LiveReport:
    """Drain the live unit and commit it. Raises DeliverError with everything unacknowledged still in the spool."""
    unit = work.live
    drained = drain_unit(work, unit)
    state = unit.state
    if state is None or state.base is None or state.frontier is None:
        raise StateError(
            f"{work.source.name}: nothing was fetched into the spool before this delivery; run fetch first"
        )
    _commit_ledger(work, unit)
    stands = work.registry.commit(work.source.name, state.frontier, seen=state.registry_seen)
    if stands != state.registry_seen:
        log.info("Registry saved to %s", work.registry.where)
    reach("commit.after_registry")
    unit.clear(
        msgspec.structs.replace(
            state,
            base=state.frontier,
            registry_seen=stands,
            redeliver=state.redeliver and not state.complete,
            tally={},
        )
    )
    reach("commit.after_clear")
    return LiveReport(
        start=state.base,
        end=state.frontier,
        tally=Tally.of(state.tally) if state.tally else Tally(),
        drained=drained,
        complete=state.complete,
        redeliver=state.redeliver,
    )


def deliver_window(work: SourceWork, window: Window) -> WindowReport:
    """Drain what live collection left waiting, then the window's unit, and commit it.

    A window is certified only when nothing of it waits anywhere, so the live unit comes first; its own commit is left
    to the live run, which knows the position.
    """
    drain_unit(work, work.live)
    unit = work.spool.unit(window.key)
    drained = drain_unit(work, unit)
    state = unit.state
    if state is None or not state.complete:
        raise StateError(f"{work.source.name}: window {window.key} was not read to its end; run fetch again")
    _commit_ledger(work, unit)
    tally = Tally.of(state.tally)
    for name, count in tally.early.items():
        setattr(drained, name, getattr(drained, name) + count)
    unit.remove()
    reach("commit.after_clear")
    return WindowReport(window=window, tally=tally, drained=drained, began_ms=state.began_ms or work.now_ms())


def deliver_early(work: SourceWork, window: Window) -> None:
    """Deliver and commit what was read of a window so far, and make room to read on: it exceeds one run's budget."""
    drain_unit(work, work.live)
    unit = work.spool.unit(window.key)
    drained = drain_unit(work, unit)
    _commit_ledger(work, unit)
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


def waiting_events(work: SourceWork) -> int:
    """How many fetched events wait for the SIEM, in all units of the source."""
    return sum(work.spool.unit(name).waiting.events for name in {LIVE, *work.spool.units()})


def _commit_ledger(work: SourceWork, unit: SpoolUnit) -> None:
    reach("commit.before_ledger")
    work.ledger.add(unit.digests())
    reach("commit.after_ledger")
