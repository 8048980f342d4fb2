"""How long, and how far behind, as people read it."""

from __future__ import annotations

from flicker_dagster.times import parse_time_ms


def lag_ms(last_timestamp: str | None, now_ms: int) -> int | None:
    """How far a position lies behind now; None where nothing was collected."""
    at_ms = None if last_timestamp is None else parse_time_ms(last_timestamp)
    return None if at_ms is None else max(0, now_ms - at_ms)


def lag(last_timestamp: str | None, now_ms: int) -> str:
    """How far a position lies behind now, in the two largest units: `2 h 5 min`."""
    behind_ms = lag_ms(last_timestamp, now_ms)
    return "" if behind_ms is None else span(behind_ms)


def span(ms: int) -> str:
    """A span of time in words, to the second."""
    seconds = max(0, ms // 1000)
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"
