"""The time as a server tells it: what is signed with a time has to be signed with the server's."""

from __future__ import annotations

from collections.abc import Callable

#: Clocks that differ by less are taken for equal; servers allow for minutes.
HEEDED_S = 60.0

#: A clock that differs by more is no clock (a cached answer, a reset), and is not followed.
BELIEVED_S = 86_400.0


class ServerClock:
    """Our clock, corrected once a server has said that it is wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return self._clock() + self._ahead_s

    def heed(self, server_now_ms: int | None) -> bool:
        """Follow the server's clock; was it another one than was followed so far?"""
        if server_now_ms is None:
            return False
        ahead_s = server_now_ms / 1000 - self._clock()
        if abs(ahead_s - self._ahead_s) < HEEDED_S or abs(ahead_s) > BELIEVED_S:
            return False
        self._ahead_s = ahead_s if abs(ahead_s) >= HEEDED_S else 0.0
        return True
