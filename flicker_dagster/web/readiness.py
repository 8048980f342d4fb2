"""Whether Flicker is ready: the answer for anybody, looked up every few seconds at most."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

log = logging.getLogger("flicker.web")

FRESH_S = 5.0
DEADLINE_S = 4.0


class Readiness:
    """Probes ask as often as they like: one look at a time, its answer holds for `fresh_s`, and one that does not end
    within `deadline_s` counts as no."""

    def __init__(
        self,
        look: Callable[[], str | None],
        *,
        fresh_s: float = FRESH_S,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._fresh_s = fresh_s
        self._deadline_s = deadline_s
        self._clock = clock
        self._looking: asyncio.Task[None] | None = None
        self._looked_s = float("-inf")
        self._missing: str | None = "nothing looked at yet"

    async def ready(self) -> bool:
        if self._looking is None and self._clock() - self._looked_s >= self._fresh_s:
            self._looking = asyncio.create_task(self._renew())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=self._deadline_s)
        return self._looking is None and self._missing is None

    async def _renew(self) -> None:
        try:
            missing = await asyncio.to_thread(self._look)
        except Exception as error:  # whatever it is: not ready
            missing = f"{type(error).__name__}: {error}"
        if missing != self._missing:
            log.debug("readiness: %s", missing or "ready")
        self._missing, self._looked_s, self._looking = missing, self._clock(), None
