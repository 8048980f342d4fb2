"""Moving a source's position by hand: what is asked for becomes an order, and what is left stays in the history."""

from __future__ import annotations

from flicker_dagster.errors import FlickerError
from flicker_dagster.pipeline.deliver import LiveReport
from flicker_dagster.pipeline.plan import position_ms
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.position_history import SavedPosition
from flicker_dagster.state.rewinds import Rewind
from flicker_dagster.times import SPAN, rfc3339_ms, start_from_ms
from flicker_dagster.types import Position


def order_position(work: SourceWork, position: Position, *, redeliver: bool) -> Rewind:
    """Let live collection go on from `position`. Where it stands now is kept in the history first.

    Raises FlickerError for a position in the future and for a source without a live tail, StateError.
    """
    name = work.source.name
    if not work.source.live:
        raise FlickerError(f"{name} has no live tail (live: false), so it has no position; use `flicker backfill`")
    if position_ms(position, source=work.source.name) > work.now_ms():
        raise FlickerError(f"{name}: {position.last_timestamp} is in the future; events until then would be lost")
    stands = work.registry.position(name)
    if stands is not None:
        work.history.keep(name, stands)
    work.layout.refused_edits().clear(name)
    return work.rewinds.order(position, redeliver=redeliver)


def finish_rewind(work: SourceWork, rewind: Rewind, report: LiveReport) -> None:
    """A run from an order was committed, without a sensor whose cursor would remember what is left to ship again."""
    if report.redeliver and not report.complete:
        work.rewinds.order(report.end, redeliver=True)
    else:
        work.rewinds.advance(rewind, "done")


def position_of(text: str, *, now_ms: int) -> Position:
    """The position that `position set` names: `now`, an age such as `2h`, or an ISO time. Raises FlickerError."""
    return Position(rfc3339_ms(start_from_ms(text, now_ms)), None)


def position_before(work: SourceWork, age: str) -> Position:
    """The position `age` (such as `2h`) before the one where the source stands, in the registry. Raises FlickerError."""
    if not SPAN.fullmatch(age):
        raise FlickerError(f"{age!r} is no span of time; expected one such as 30m, 2h or 7d")
    return Position(rfc3339_ms(start_from_ms(age, position_ms(stands(work), source=work.source.name))), None)


def stands(work: SourceWork) -> Position:
    """Where a source stands. Raises FlickerError if nothing was collected yet."""
    position = work.registry.position(work.source.name)
    if position is None:
        raise FlickerError(
            f"{work.source.name} is not in the registry {work.registry.where}: nothing was collected yet"
        )
    return position


def position_from_history(work: SourceWork, number: int) -> Position:
    """An earlier position by its number in the history. Raises FlickerError."""
    return _numbered(work, number).position


def _numbered(work: SourceWork, number: int) -> SavedPosition:
    saved = {entry.number: entry for entry in work.history.read(work.source.name)}
    if number not in saved:
        raise FlickerError(
            f"{work.source.name}: no position {number} in the history; see `flicker position show {work.source.name}`"
        )
    return saved[number]
