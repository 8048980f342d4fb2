"""What dialects check of a request: the type of its body, the spelling of its times."""

from __future__ import annotations

import re

from flicker_dagster.simulator.server import Request
from flicker_dagster.times import parse_time_ms

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def content_type(request: Request) -> str:
    """Without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def rfc3339_of(text: object, *, days: bool = False) -> int | None:
    """A time with a T, seconds and a zone, as ms; with `days` a bare day in UTC too. None for anything else: a plus sign
    that came as a space, a day without its time, a number."""
    if not isinstance(text, str) or not (_RFC3339.fullmatch(text) or (days and _DAY.fullmatch(text))):
        return None
    return parse_time_ms(text, "iso8601")


def span_of(
    request: Request, start: str, end: str, spelled: re.Pattern[str], *, now_ms: int, fmt: str = "iso8601"
) -> tuple[int, int] | None:
    """Milliseconds of the parameters named `start` and `end`: all there is until now where one is not given. None for a
    time in another spelling, and for an end before the start."""
    times: list[int] = []
    for name, default in ((start, 0), (end, now_ms)):
        text = request.query.get(name)
        ms = default if text is None else parse_time_ms(text, fmt) if spelled.fullmatch(text) else None
        if ms is None:
            return None
        times.append(ms)
    return (times[0], times[1]) if times[0] <= times[1] else None
