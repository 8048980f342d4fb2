"""Probes in the code server: few at a time, short, and none for a while at a source that was slow.

A probe shares its process with all sources, a run has one of its own: whatever is more than a short look is left to a run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.pipeline.probe import ProbeResult, probe
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.types import Position

#: A probe as a whole: connections, pages, redirects and waiting.
TOTAL_S = 12.0
CONNECT_MS, READ_MS, WAIT_MS = 5_000, 10_000, 2_000
#: A page that is larger is for a run: to take it apart would hold up every tick of this process.
PAGE_BYTES = 2 * 1024 * 1024

#: Probes at the same time. The daemon evaluates eight sensors at a time: half of them remain for other sources.
MOST = 4
#: How long one waits for its turn.
TURN_S = 1.0

#: One that took so long is not repeated for a while, so that a vendor that trickles is nobody else's turn again and again.
SLOW_S, REST_S = 5.0, 600.0


class Probes:
    """The probes of a process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns = threading.BoundedSemaphore(MOST)
        self._rest_until_s: dict[tuple[str, str], float] = {}

    def look(self, work: SourceWork, position: Position) -> ProbeResult | None:
        """What a probe found; None where the source is to have a run instead. Raises CollectError as a walk does."""
        source = (work.source.name, work.source.endpoint)
        if self._clock() < self._rest_until_s.get(source, 0.0):
            return None
        if not self._turns.acquire(timeout=TURN_S):
            return None
        began_s = self._clock()
        work.client.deadline = Deadline.after(TOTAL_S, f"the {TOTAL_S:g} s of a probe")
        try:
            return probe(work, position)
        finally:
            work.client.deadline = None
            self._turns.release()
            if self._clock() - began_s > SLOW_S:
                self._rest_until_s[source] = self._clock() + REST_S
            else:
                self._rest_until_s.pop(source, None)


def hurried(source: SourceConfig) -> SourceConfig:
    """The source with a probe's patience."""
    limits = source.limits
    update = {
        "connect_timeout_ms": min(limits.connect_timeout_ms, CONNECT_MS),
        "read_timeout_ms": min(limits.read_timeout_ms, READ_MS),
        "max_wait_ms": min(limits.max_wait_ms, WAIT_MS),
        "page_bytes": min(limits.page_bytes, PAGE_BYTES),
    }
    return source.model_copy(update={"limits": limits.model_copy(update=update)})


#: Of this process.
probes = Probes()
