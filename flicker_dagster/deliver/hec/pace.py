"""How many requests may be under way, by what the collector says of its capacity."""

from __future__ import annotations

import threading

#: After so many answers without a word about capacity, one more request may be under way.
CALM_ANSWERS = 10


class Pace:
    """Halved when the collector approaches its limits (codes 24 and 25), one more after a while of calm. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._calm = 0
        self.in_flight = most

    def heed(self, *, slow_down: bool) -> bool:
        """Note an answer. Did the number change?"""
        before = self.in_flight
        with self._lock:
            if slow_down:
                self._calm = 0
                self.in_flight = max(1, self.in_flight // 2)
            elif self.in_flight < self._most:
                self._calm += 1
                if self._calm == CALM_ANSWERS:
                    self._calm = 0
                    self.in_flight += 1
        return self.in_flight != before
