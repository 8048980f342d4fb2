"""Log lines that anybody can provoke: one of a kind now and then, with how many were left out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger("flicker.web")

EVERY_S = 60.0


class Complaints:
    """Counts by kind; kinds are few and ours, never text from outside. For one thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def tell(self, kind: str, line: str) -> None:
        now_s = self._clock()
        if now_s - self._told_s.get(kind, -EVERY_S) < EVERY_S:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        left_out = self._left_out.pop(kind, 0)
        self._told_s[kind] = now_s
        log.warning("%s%s", line, f" ({left_out} more of the kind since the last line)" if left_out else "")
