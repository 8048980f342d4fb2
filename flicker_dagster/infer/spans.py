"""Does the listing heed the span asked for? Asked for what came since the middle of a page, it must give nothing older."""

from __future__ import annotations

from typing import Any

import msgspec

from flicker_dagster.errors import FlickerError
from flicker_dagster.infer.asking import Asker, Enough
from flicker_dagster.infer.columns import TimeColumn, columns_of
from flicker_dagster.infer.finding import Findings
from flicker_dagster.infer.names import START_TRIED
from flicker_dagster.infer.question import Question
from flicker_dagster.infer.rows import Rows
from flicker_dagster.times import format_time, parse_time_ms, resolution_ms
from flicker_dagster.types import WalkState

FORMATS_TRIED = ("rfc3339", "unix", "unix_ms")


class Span(msgspec.Struct):
    """What came when the question was asked for a later start: `heeded` says that nothing was older, `later` how many of the
    `events` were newer than all that came before, though they had been there already."""

    heeded: bool = False
    events: int = 0
    later: int = 0


def check_span(
    asker: Asker, asked: Question, findings: Findings, time: TimeColumn, rows: Rows, *, now_ms: int
) -> Span | None:
    """Makes sure of the parameters that the question had for a span. Raises Enough."""
    fmt = findings.raw()["time_filter_format"]
    middle_ms = _middle(time.times_ms, resolution_ms(fmt))
    if middle_ms is None:
        return None
    span = None
    for key in ("request.start", "request.end"):
        if findings.get(key) is None and (key == "request.end" or not asked.time_spots):
            continue
        at_start = key == "request.start"
        start_ms = middle_ms if at_start else asked.start_ms
        end_ms = asked.end_ms if at_start else middle_ms
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            continue
        got = _times(asker, findings.source(), WalkState(start_ms=start_ms, end_ms=end_ms, began_ms=middle_ms), time)
        if got:
            heeded = _note_bound(findings, key, got, middle_ms, fmt, spot=asked.time_spots[0])
            span = _span_of(got, time, heeded=heeded, now_ms=now_ms) if at_start else span
            if at_start and heeded:
                _note_exclusive(findings, got, middle_ms, fmt, time)
    return span


def _note_bound(findings: Findings, key: str, got: list[int], middle_ms: int, fmt: str, *, spot: str) -> bool:
    """Was the bound heeded?"""
    finding = findings.get(key)
    name = spot if finding is None else finding.value["at"]
    where = "query_params" if finding is None else key
    known = findings.get(where)
    since = key == "request.start"
    step_ms = resolution_ms(fmt)
    heeded = _since(got, middle_ms, step_ms) if since else _until(got, middle_ms, step_ms)
    side = "since" if since else "until"
    if heeded:
        why = f"asked for what came {side} {format_time(middle_ms, fmt)}, nothing {'older' if since else 'newer'} came"
        findings.note("time_filter_format", fmt, "sure", f"{name} was understood so")
    else:
        why = f"not all that came was {side} the time asked for: the API may list by arrival, or not heed it"
    if known is not None:
        findings.note(where, known.value, "sure" if heeded else "guess", why)
    return heeded


def _note_exclusive(findings: Findings, got: list[int], middle_ms: int, fmt: str, time: TimeColumn) -> None:
    """The event that happened at the very time asked for has to come, else the start itself is not listed."""
    exact = middle_ms in time.times_ms and resolution_ms(fmt) == 1
    if exact and findings.get("request.start") is not None and middle_ms not in got:
        why = f"asked for what came since {format_time(middle_ms, fmt)}, the event of that very time did not come"
        findings.note("request.start_exclusive", True, "sure", why)


def _span_of(got: list[int], time: TimeColumn, *, heeded: bool, now_ms: int) -> Span:
    newest_ms = max(ms for ms in time.times_ms if ms is not None)
    return Span(heeded, len(got), sum(newest_ms < ms < now_ms for ms in got))


def find_start(asker: Asker, findings: Findings, time: TimeColumn, rows: Rows) -> None:
    """Tries likely names of the parameter for the start, until one is heeded. Raises Enough."""
    middle_ms = _middle(time.times_ms, 1000)
    if middle_ms is None:
        return
    for name in START_TRIED:
        for fmt in FORMATS_TRIED:
            raw = findings.source()
            tried = {**raw, "request": {**raw.get("request", {}), "start": {"at": name}}, "time_filter_format": fmt}
            got = _times(asker, tried, WalkState(start_ms=middle_ms, began_ms=middle_ms), time)
            if got and _since(got, middle_ms, resolution_ms(fmt)):
                why = f"tried, and nothing older than {format_time(middle_ms, fmt)} came"
                findings.note("request.start", {"at": name}, "probable", why)
                findings.note("time_filter_format", fmt, "probable", why)
                return


def _times(asker: Asker, raw: dict[str, Any], state: WalkState, time: TimeColumn) -> list[int]:
    try:
        rows = asker.page(raw, state)
    except Enough:
        raise
    except FlickerError:
        return []
    values = columns_of(rows).get(time.path, [])
    return [ms for value in values if (ms := parse_time_ms(value, time.format)) is not None]


def _middle(times_ms: list[int | None], step_ms: int) -> int | None:
    """An instant with events on both sides of it, of those that a request can name."""
    there = sorted({ms // step_ms * step_ms for ms in times_ms if ms is not None})
    return there[len(there) // 2] if len(there) > 1 else None


def _since(got: list[int], middle_ms: int, step_ms: int) -> bool:
    return min(got) >= middle_ms - step_ms


def _until(got: list[int], middle_ms: int, step_ms: int) -> bool:
    return max(got) <= middle_ms + step_ms
