"""How an operator's rewind reaches the live sensor: each tick looks whether one was ordered (`state/rewinds.py`).

A cursor that carries a rewind awaits no run, so one that was in flight cannot move it on (compare-and-set, `cursor.fold`).
"""

from __future__ import annotations

import logging

from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.cursor import SHOWN_CHARS, LiveCursor, parse_cursor
from flicker_dagster.pipeline.plan import position_ms, time_of
from flicker_dagster.pipeline.reading import SKEW_HEEDED_MS
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.printable import cut, visible
from flicker_dagster.state.rewinds import Rewinds
from flicker_dagster.types import Position

log = logging.getLogger("flicker.sensor")

#: So much of a text is masked and made visible to show its beginning.
LONGEST_SHOWN = 10_000


def saved_cursor(work: SourceWork, text: str) -> LiveCursor | None:
    """The cursor that Dagster has saved, or None for one that was edited into nonsense: the last good position, of the
    registry, goes on then. It is told once, since the tick puts a good cursor in its place."""
    try:
        cursor = parse_cursor(text)
        _refuse_if_in_the_future(work, cursor.position)
        return cursor
    except FlickerError as error:
        stands = work.registry.position(work.source.name)
        goes_on_from = None if stands is None else stands.last_timestamp
        why = visible(work.client.masker.mask(str(error)))
        log.warning(
            "%s: the sensor's cursor was edited and cannot be used: %s. It was %s; collection goes on from %s",
            work.source.name,
            why,
            cut(visible(work.client.masker.mask(text[:LONGEST_SHOWN])), SHOWN_CHARS),
            goes_on_from or f"start_from ({work.source.start_from})",
        )
        work.layout.refused_edits().note(work.source.name, why, goes_on_from=goes_on_from)
        return None


def _refuse_if_in_the_future(work: SourceWork, position: Position) -> None:
    """Raise FlickerError for a time that has not come, by our clock and by the vendor's, and at which collection does not
    stand already: what happens until then would be lost."""
    at_ms = position_ms(position, source=work.source.name)
    latest_ms = work.now_ms() + SKEW_HEEDED_MS
    if at_ms <= latest_ms:
        return
    state = work.live.state
    stands_ms = time_of(work.registry.position(work.source.name))
    if at_ms > max(latest_ms + (0 if state is None else state.skew_ms), stands_ms or 0):
        raise FlickerError(f"the cursor's last_timestamp {position.last_timestamp} is in the future")


def heed_rewind(rewinds: Rewinds, cursor: LiveCursor, *, saved: bool) -> LiveCursor:
    """The cursor from which a tick goes on. `saved` says that Dagster had a cursor. Raises StateError.

    Dagster saves what a tick decides only after it, and may lose it. So an order counts as taken when a later tick finds
    it in the saved cursor, and as done when the cursor has then moved on: by a run that was committed, or by hand.
    """
    rewind = rewinds.standing()
    if rewind is None:
        return cursor
    if cursor.rewind == rewind.id:
        if rewind.stage == "ordered":
            rewinds.advance(rewind, "taken")
        return cursor
    if rewind.stage == "taken" and saved:
        rewinds.advance(rewind, "done")
        return cursor
    log.info("Live collection goes on from %s, as ordered by hand", rewind.last_timestamp)
    return LiveCursor(position=rewind.position, redeliver=rewind.redeliver, rewind=rewind.id)
