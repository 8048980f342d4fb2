"""Where collection of a source begins: the sensor's cursor, else the registry, else `start_from`, written down at once."""

from __future__ import annotations

import logging

from flicker_dagster.errors import WriteConflict
from flicker_dagster.pipeline.grid import remember_begin
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.layout import begun_key
from flicker_dagster.state.stores import ANYTHING
from flicker_dagster.times import parse_time_ms, rfc3339_ms, start_from_ms
from flicker_dagster.types import Position

log = logging.getLogger("flicker.begin")


def starting_position(work: SourceWork) -> Position:
    """The position a new instance starts from. A first start is saved to the registry before anything is fetched.

    Raises RegistryUnreadable: a registry that is there but cannot be read must never be taken for a first start. Nor is
    one that was removed: the position last saved beside it counts.
    """
    position = work.registry.position(work.source.name)
    if position is None:
        first = _last_saved(work)
        if first is None:
            first = _start_from(work)
        position = work.registry.commit(work.source.name, first, seen=None)
        log.info("Registry saved to %s", work.registry.where)
    _write_down_begin(work, position)
    return position


def usable(work: SourceWork, position: Position, stood: Position | None) -> Position:
    """The position without the registry's durable cursor where another configuration made it: its time counts then.

    A cursor that somebody typed stays, and so does one of which nothing is known (of an older Flicker); where the vendor
    refuses it, collection starts again by time. Raises SecretUnset, StateError.
    """
    if position.cursor is None or stood is None or position.cursor != stood.cursor:
        return position
    made_by = work.walk_notes.read().cursor_shape
    if made_by is None or made_by == work.shape:
        return position
    log.warning(
        "%s: endpoint, parameters, paging or slices were changed since its cursor was saved; collection goes on by time, "
        "from %s, and what was delivered already is recognised",
        work.source.name,
        position.last_timestamp,
    )
    return Position(position.last_timestamp, None)


def begin_without_a_tail(work: SourceWork) -> None:
    """Write down from when the windows of a source with `live: false` are collected; it has no position."""
    _write_down_begin(work, _start_from(work))


def begun_ms(work: SourceWork) -> int | None:
    """The time from which collection covers the source; windows before it are the business of backfills."""
    stored = work.layout.store.read(_begun_key(work))
    began_ms = None if stored is None else parse_time_ms(stored.data.decode())
    if began_ms is not None:
        remember_begin(work.layout, work.source.name, began_ms)
    return began_ms


def lower_begin(work: SourceWork, begin_ms: int) -> None:
    """Collection turned out to begin earlier than was written down, by the vendor's clock."""
    written_ms = begun_ms(work)
    if written_ms is not None and begin_ms < written_ms:
        work.layout.store.write(_begun_key(work), rfc3339_ms(begin_ms).encode(), expected=ANYTHING)


def _start_from(work: SourceWork) -> Position:
    start_ms = start_from_ms(work.source.start_from, work.now_ms())
    return Position(last_timestamp=rfc3339_ms(start_ms), cursor=None)


def _last_saved(work: SourceWork) -> Position | None:
    history = work.registry.history(work.source.name)
    if not history:
        return None
    log.warning(
        "%s: the registry %s no longer knows it; collection goes on from the position last saved, %s (to start from "
        "start_from instead, remove positions/%s.json as well)",
        work.source.name,
        work.registry.where,
        history[0].position.last_timestamp,
        work.source.name,
    )
    return history[0].position


def _write_down_begin(work: SourceWork, position: Position) -> None:
    if position.last_timestamp is None or begun_ms(work) is not None:
        return
    try:
        work.layout.store.write(_begun_key(work), position.last_timestamp.encode(), expected=None)
    except WriteConflict:
        log.debug("%s: another Flicker wrote down the beginning first", work.source.name)


def _begun_key(work: SourceWork) -> str:
    return begun_key(work.source.name)
