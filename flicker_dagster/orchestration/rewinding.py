"""How an operator's rewind reaches the live sensor: each tick looks whether one was ordered (`state/rewinds.py`).

A cursor that carries a rewind awaits no run, so one that was in flight cannot move it on (compare-and-set, `cursor.fold`).
"""

from __future__ import annotations

import logging

from flicker_dagster.orchestration.cursor import LiveCursor
from flicker_dagster.state.rewinds import Rewinds

log = logging.getLogger("flicker.sensor")


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
