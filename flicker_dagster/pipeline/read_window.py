"""A whole window into the spool, however large it is: where a run's budget ends, what was read is delivered first."""

from __future__ import annotations

from contextlib import suppress

from flicker_dagster.errors import SpoolFull, StateError
from flicker_dagster.pipeline.deliver import deliver_early
from flicker_dagster.pipeline.fetch import FetchReport, fetch_window
from flicker_dagster.pipeline.forecast import note_cost
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.spool import SpoolUnit
from flicker_dagster.types import WalkState, Window


def read_window(
    work: SourceWork, window: Window, *, redeliver: bool = False, fresh: bool = False, backfill: bool = False
) -> FetchReport:
    """Read a window to its end. Raises as `fetch_window` does, DeliverError where an oversize window cannot be delivered
    on the way, and SpoolFull where other units leave it no room."""
    unit = work.spool.unit(window.key)
    requests, began_s = work.client.requests_made, work.clock()
    report = fetch_window(work, window, redeliver=redeliver, fresh=fresh, backfill=backfill)
    while not report.complete:
        stood = _walk(unit)
        deliver_early(work, window)
        report = fetch_window(work, window, redeliver=redeliver, backfill=backfill)
        if not report.complete and _walk(unit) == stood:
            raise SpoolFull(
                f"{work.source.name}: window {window.key} finds no room in the spool beside what live collection has "
                "there; it is read again when that is delivered"
            )
    requests = work.client.requests_made - requests
    if requests >= report.tally.pages:  # else a part of it was read by an earlier run
        with suppress(StateError):  # a forecast is not worth a window
            note_cost(work, window, requests=requests, seconds=work.clock() - began_s)
    return report


def _walk(unit: SpoolUnit) -> WalkState | None:
    return None if unit.state is None else unit.state.walk
