"""Does the listing heed the span asked for? Asked for what came since the middle of a page, it must give nothing older."""

from __future__ import annotations

from typing import Any

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


def check_span(
    asker: Asker, raw: dict[str, Any], asked: Question, findings: Findings, time: TimeColumn, rows: Rows
) -> None:
    """Makes sure of the parameters that the question had for a span."""
    fmt = raw["time_filter_format"]
    middle_ms = _middle(time.times_ms, resolution_ms(fmt))
    if middle_ms is None:
        return
    for key, holds in (("request.start", _since), ("request.end", _until)):
        finding = findings.get(key)
        inside = finding is None and asked.time_spots and key == "request.start"
        if finding is None and not inside:
            continue
        start_ms = middle_ms if key == "request.start" else asked.start_ms
        end_ms = middle_ms if key == "request.end" else asked.end_ms
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            continue
        got = _times(asker, raw, WalkState(start_ms=start_ms, end_ms=end_ms, began_ms=middle_ms), time)
        name = asked.time_spots[0] if finding is None else finding.value["at"]
        where = "query_params" if finding is None else key
        value = (findings.get(where) or finding).value  # type: ignore[union-attr]
        side = "since" if key == "request.start" else "until"
        if got and holds(got, middle_ms, resolution_ms(fmt)):
            at = format_time(middle_ms, fmt)
            findings.note(
                where,
                value,
                "sure",
                f"asked for what came {side} {at}, nothing {'older' if side == 'since' else 'newer'} came",
            )
            findings.note("time_filter_format", fmt, "sure", f"{name} was understood so")
        elif got:
            findings.note(
                where, value, "guess", f"not all that came was {side} the time asked for: the API may list by arrival"
            )


def find_start(asker: Asker, raw: dict[str, Any], findings: Findings, time: TimeColumn, rows: Rows) -> None:
    """Tries likely names of the parameter for the start, until one is heeded. Raises Enough."""
    middle_ms = _middle(time.times_ms, 1000)
    if middle_ms is None:
        return
    for name in START_TRIED:
        for fmt in FORMATS_TRIED:
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
