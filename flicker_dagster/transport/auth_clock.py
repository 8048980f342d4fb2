"""Is a clock the reason? What is signed with the time is refused where it is wrong."""

from __future__ import annotations

from flicker_dagster.transport.exchange import Answer

#: Servers allow for clocks that differ by up to five minutes (RFC 7519, 4.1.4); a minute is worth to be told.
CLOCK_TOLD_MS = 60_000


def clock_told(answer: Answer, asked_ms: int) -> str:
    """How far this machine's clock and the server's are apart, where that may be the reason; else nothing."""
    apart_ms = 0 if answer.server_now_ms is None else asked_ms - answer.server_now_ms
    if abs(apart_ms) < CLOCK_TOLD_MS:
        return ""
    return f"this machine's clock is {abs(apart_ms) // 1000} s {'ahead of' if apart_ms > 0 else 'behind'} the server's"
