"""Events that can never be sent on become dead letters when they are read, and are known from then on."""

from __future__ import annotations

import logging
from collections import Counter
from typing import NamedTuple

from flicker_dagster.deliver.refused import NEVER_SENT
from flicker_dagster.lots import lot_id_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import DeadLetter

log = logging.getLogger("flicker.fetch")

#: Different reasons named in one line.
_SHOWN_REASONS = 3


class Unfit(NamedTuple):
    """An event that can never be sent on, and why."""

    event: bytes
    digest: bytes
    time_ms: int | None
    why: str


def set_aside(work: SourceWork, shard: str, events: list[Unfit]) -> None:
    """Keep events of one shard as dead letters of every lane, and their ids in its ledger. Raises StateError."""
    lot_id = lot_id_of(work.source.name, b"".join(unfit.digest for unfit in events))
    letters = [
        DeadLetter(
            event=unfit.event,
            reason=f"{NEVER_SENT}: {unfit.why}",
            status=NEVER_SENT,
            lot_id=lot_id,
            digest=unfit.digest.hex(),
            destination="",
            at_ms=work.now_ms(),
            event_time_ms=unfit.time_ms,
        )
        for unfit in events
    ]
    for lane in work.lanes:
        lane.set_aside(shard, letters)
    reasons = Counter(unfit.why for unfit in events)
    log.warning(
        "%s: %d events cannot be sent on and are kept as dead letters: %s%s",
        work.source.name,
        len(events),
        "; ".join(list(reasons)[:_SHOWN_REASONS]),
        " …" if len(reasons) > _SHOWN_REASONS else "",
    )
