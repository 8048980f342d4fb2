"""Fetch: walk the vendor's pages into the spool, resuming at the page where the last attempt stopped."""

from __future__ import annotations

import logging
from functools import partial

import msgspec

from flicker_dagster.pipeline.begin import usable
from flicker_dagster.pipeline.intake import Intake, Known
from flicker_dagster.pipeline.plan import (
    gap_ms,
    next_slice,
    refuse_if_not_askable,
    refuse_if_not_closed,
    refuse_if_not_retained,
    start_position,
    time_of,
    window_slice,
)
from flicker_dagster.pipeline.reading import FetchReport, Reading
from flicker_dagster.pipeline.resuming import of_this_shape
from flicker_dagster.pipeline.set_aside import set_aside
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.spool import UnitState
from flicker_dagster.types import Position, Window

__all__ = ["FetchReport", "fetch_live", "fetch_window"]

log = logging.getLogger("flicker.fetch")

#: A window's interrupted walk is taken up again by later runs for so long after it began.
WALK_KEEPS_MS = 6 * 3_600_000


def fetch_live(work: SourceWork, position: Position, *, redeliver: bool = False) -> FetchReport:
    """Collect from `position` to now into the live unit.

    A unit that already fetched from this very position goes on where it stopped, so a SIEM outage never stops
    fetching; any other position is a rewind, a new instance or a lost spool, and is walked afresh. With `redeliver`
    everything up to where collection stood is shipped again.
    """
    unit = work.live
    state = unit.state
    if state is not None:
        state = of_this_shape(work, state)
    # Read even where the unit knows better: no registry, no collection, or its loss would go unnoticed for a whole poll.
    stood = work.registry.position(work.source.name)
    moved = state is not None and stood not in (state.registry_seen, state.frontier)
    if moved:
        log.warning(
            "%s: the registry %s does not stand where this Flicker left it but at %s: another Flicker or somebody moved "
            "it; collection goes on from its own position. Run one Flicker per registry",
            work.source.name,
            work.registry.where,
            None if stood is None else stood.last_timestamp,
        )
    if state is None or state.base != position or state.redeliver != redeliver:
        until_ms = time_of(stood) if redeliver else None
        state = UnitState(
            base=position,
            frontier=usable(work, start_position(position, stood), stood),
            walk=None,
            complete=False,
            redeliver=redeliver,
            redeliver_until_ms=until_ms,
            registry_seen=stood,
            began_ms=work.now_ms(),
            skew_ms=0 if state is None else state.skew_ms,
            shape=work.shape,
            paging_seen=state is not None and state.paging_seen,
            cursor_noted=state is not None and state.cursor_noted,
            tally={},
        )
    tally = Tally.of(state.tally) if state.tally else Tally()
    gap = gap_ms(work.source.listing, state.frontier or position, now_ms=work.now_ms() + state.skew_ms)
    tally.unproven = None
    tally.gap_ms = max(tally.gap_ms, gap)
    tally.registry_moved = tally.registry_moved or moved
    if gap:
        log.warning(
            "%s: collection stood at %s, before what the vendor still keeps", work.source.name, position.last_timestamp
        )
    intake = _intake(work, tally, position_ms=time_of(position), redeliver_until_ms=state.redeliver_until_ms)
    objects = work.objects(again_in=unit, began_ms=state.began_ms) if redeliver else work.objects()
    fetch = Reading(work, unit, state, intake, hand_over_s=work.source.flush_interval_ms / 1000, objects=objects)
    return fetch.run(lambda state, now_ms: next_slice(work.source.listing, state.frontier, state.walk, now_ms=now_ms))


def fetch_window(
    work: SourceWork, window: Window, *, redeliver: bool = False, fresh: bool = False, backfill: bool = False
) -> FetchReport:
    """Read a window again and put into its unit what nobody has delivered yet. Stops early at a run's budget.

    `fresh` is for a new run: it begins anew, unless an earlier run was interrupted inside the same walk not long ago;
    that walk goes on at its page, or a window longer than a run's luck would never be read to its end. `backfill`: a person
    asked for it, so lanes get what lies before their start as well.
    """
    unit = work.spool.unit(window.key)
    live = work.live.state
    skew_ms = 0 if live is None else live.skew_ms
    refuse_if_not_askable(work.source.grid)
    listing = work.source.listing
    refuse_if_not_retained(listing, window, now_ms=work.now_ms())
    refuse_if_not_closed(listing, window, now_ms=work.now_ms() + skew_ms)
    state = unit.state
    tally = Tally.of(state.tally) if state is not None and state.tally else Tally()
    goes_on = state is not None and state.shape == work.shape
    if state is None or not goes_on or (fresh and not _goes_on(state, redeliver=redeliver, now_ms=work.now_ms())):
        state = UnitState(base=None, frontier=None, skew_ms=skew_ms, began_ms=work.now_ms() + skew_ms, shape=work.shape)
        tally = tally.begun_again()
    tally.unproven = None
    state = msgspec.structs.replace(state, redeliver=redeliver, backfill=backfill)
    redeliver_until_ms = window.end_ms if redeliver else None
    intake = _intake(work, tally, window=window, redeliver_until_ms=redeliver_until_ms, backfill=backfill)
    again = redeliver or backfill  # a lane may want what lies before its start
    objects = work.objects(again_in=unit, began_ms=state.began_ms) if again else work.objects()
    fetch = Reading(work, unit, state, intake, window=window, objects=objects)
    return fetch.run(lambda state, now_ms: window_slice(listing.time, window, state.walk, now_ms=now_ms))


def _goes_on(state: UnitState, *, redeliver: bool, now_ms: int) -> bool:
    """May a new run go on with the walk of a window that an earlier one left?"""
    if state.complete or state.walk is None or state.began_ms is None or state.redeliver != redeliver:
        return False
    return 0 <= now_ms - state.began_ms <= WALK_KEEPS_MS


def _intake(
    work: SourceWork,
    tally: Tally,
    *,
    position_ms: int | None = None,
    window: Window | None = None,
    redeliver_until_ms: int | None = None,
    backfill: bool = False,
) -> Intake:
    ledgers = [(lane.ledger, None if backfill else lane.since_ms) for lane in work.lanes]
    waiting = [work.spool.unit(name).digests() for name in work.spool.units()]
    return Intake(
        work.source.listing,
        known=Known(ledgers, waiting, redeliver_until_ms=redeliver_until_ms),
        cutter=work.new_cutter(),
        event_filter=work.new_filter(),
        tally=tally,
        set_aside=partial(set_aside, work),
        position_ms=position_ms,
        window=window,
    )
