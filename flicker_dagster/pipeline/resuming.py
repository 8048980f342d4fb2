"""Resume points: when one is used, when it counts as failed, and when its span is asked for by time instead.

Nothing is lost or repeated by leaving one: what was read waits, is known by its ids, and the position has not moved.
"""

from __future__ import annotations

import logging

import msgspec

from flicker_dagster.errors import CollectError, CursorRejected, EndUnproven, NotClosed, NotRetained, RateLimited
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.spool import Failed, UnitState
from flicker_dagster.types import Position, WalkState

log = logging.getLogger("flicker.fetch")

#: After so many failures in a row at one resume point the span is asked for by time instead.
MOST_FAILURES = 3

#: What says nothing about a resume point.
_NOT_THE_PLACE = (RateLimited, NotClosed, NotRetained, EndUnproven)


def speaks_of_place(at: WalkState | None, error: CollectError) -> bool:
    """May the resume point be why a request failed? A vendor says in many ways that it no longer takes one."""
    return at is not None and at.further and not isinstance(error, _NOT_THE_PLACE)


def failed_again(state: UnitState, at: WalkState) -> UnitState:
    """The unit with one more failure at this resume point."""
    place = f"{at.cursor}|{at.page}|{at.offset}" + ("" if at.member is None else f"|{at.member}")
    times = 1 if state.failed is None or state.failed.place != place else state.failed.times + 1
    return msgspec.structs.replace(state, failed=Failed(place, times))


def is_to_be_left(state: UnitState, error: CollectError) -> bool:
    """Has a resume point failed often enough, or did the vendor say that its cursor has expired?"""
    return isinstance(error, CursorRejected) or (state.failed is not None and state.failed.times >= MOST_FAILURES)


def by_time(state: UnitState) -> UnitState:
    """The same unit without its resume point: what it stands at is asked for by time, and known by id where it was read."""
    frontier = None if state.frontier is None else Position(state.frontier.last_timestamp, None)
    return msgspec.structs.replace(state, frontier=frontier, walk=None)


def of_this_shape(work: SourceWork, state: UnitState) -> UnitState:
    """The live unit without its resume point and cursor where another configuration made them. What was read waits on,
    known by id. An older Flicker said nothing of what made them: of its state the durable cursor alone is kept."""
    if state.shape == work.shape:
        return state
    kept = msgspec.structs.replace(state, walk=None) if state.shape is None else by_time(state)
    if (kept.walk, kept.frontier) != (state.walk, state.frontier):
        log.warning(
            "%s: endpoint, parameters, paging or slices were changed since its last walk; it goes on by time, and what "
            "was read already is recognised",
            work.source.name,
        )
    return msgspec.structs.replace(kept, shape=work.shape, failed=None, paging_seen=False, cursor_noted=False)
