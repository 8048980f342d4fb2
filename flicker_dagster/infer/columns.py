"""Which members of the events identify and date them, and in which order they are listed. From their values, not their
names: these decide between equals."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal

import msgspec

from flicker_dagster.infer.names import ID, NOT_ITS_TIME, TIME, called, depth_of, last_of, plain, words_of
from flicker_dagster.infer.rows import Rows, joined
from flicker_dagster.times import EARLIEST_MS, parse_time_ms

DAY_MS = 86_400_000
DEEPEST = 4

Order = Literal["ascending", "descending", "unordered", "unknown"]

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s*(?P<zone>Z|z|UTC|[+-]\d\d:?(\d\d)?)?)?")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_EPOCHS = {10: "unix", 13: "unix_ms", 16: "unix_us", 19: "unix_ns"}
_UUID = re.compile(
    r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{24,64}|[0-7][0-9A-HJKMNP-TV-Z]{25}"
)


class TimeColumn(msgspec.Struct, frozen=True):
    """Times at a path. `format` is what `timestamp_format` would say; `zoned` says whether texts name their offset."""

    path: str
    format: str
    times_ms: list[int | None]
    zoned: bool
    score: float

    @property
    def order(self) -> Order:
        return order_of(self.times_ms)

    @property
    def covers(self) -> int:
        return sum(ms is not None for ms in self.times_ms)


class IdColumn(msgspec.Struct, frozen=True):
    """Values at a path that all differ."""

    path: str
    values: list[str]
    score: float
    looks: str


def columns_of(rows: Rows) -> dict[str, list[Any]]:
    """The scalars of rows by dotted path, None where a row has none."""
    found: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        for path, value in _leaves(row, "", 0):
            found.setdefault(path, [None] * len(rows))[number] = value
    return found


def called_like_times(columns: dict[str, list[Any]]) -> list[str]:
    """Columns that are no times, and have a name as if they were."""
    return [path for path in columns if plain(last_of(path)) in TIME or words_of(last_of(path))[-1:] == ["at"]]


def times_in(columns: dict[str, list[Any]], *, now_ms: int) -> list[TimeColumn]:
    """Every column that may date the events, the likeliest first."""
    found = []
    for path, values in columns.items():
        fmt = None if plain(last_of(path)) in ID else format_of(values)  # digits of an id may well be a time as well
        if fmt is None:
            continue
        times_ms = [None if value in (None, "") else parse_time_ms(value, fmt) for value in values]
        there = [ms for ms in times_ms if ms is not None]
        if not there or max(there) > now_ms + DAY_MS or max(there) < EARLIEST_MS + 5 * 365 * DAY_MS:
            continue
        texts = [value for value in values if isinstance(value, str) and "-" in value]
        zoned = all((text := _ISO.fullmatch(value.strip())) is None or text["zone"] for value in texts)
        found.append(TimeColumn(path, fmt, times_ms, zoned, _time_score(path, times_ms, there, zoned)))
    return sorted(found, key=lambda each: each.score, reverse=True)


def ids_in(columns: dict[str, list[Any]], times: list[TimeColumn]) -> list[IdColumn]:
    """Every column that may identify the events, the likeliest first."""
    dates = {each.path for each in times}
    found = []
    for path, values in columns.items():
        if path in dates or not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
            continue
        texts = list(map(str, values))
        if len(set(texts)) < len(texts) or any(
            not text or len(text) > 200 or re.search(r"\s|://", text) for text in texts
        ):
            continue
        looks = "uuid" if all(_UUID.fullmatch(text) for text in texts) else ""
        score = _id_score(path, texts, looks)
        if score >= 1:
            found.append(IdColumn(path, texts, score, looks))
    return sorted(found, key=lambda each: each.score, reverse=True)


def format_of(values: list[Any]) -> str | None:
    """The one format that all of these are times in, as `timestamp_format` has it; None where there is none."""
    there = [value for value in values if value not in (None, "")]
    kinds = {_format_of(value) for value in there}
    return kinds.pop() if len(kinds) == 1 else None


def order_of(times_ms: list[int | None]) -> Order:
    """How times follow each other; unknown where there are fewer than three different ones."""
    there = [ms for ms in times_ms if ms is not None]
    if len(set(there)) < 3:
        return "unknown"
    steps = list(pairwise(there))
    if all(one <= other for one, other in steps):
        return "ascending"
    return "descending" if all(one >= other for one, other in steps) else "unordered"


#: What is larger, or longer as text, counts no time.
MOST_EPOCH, LONGEST_EPOCH = 10**20, 30


def _leaves(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, dict):
        if depth < DEEPEST:
            for key, inner in value.items():
                yield from _leaves(inner, joined(path, key), depth + 1)
    elif not isinstance(value, list):
        yield path, value


def _format_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    digits = None
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= LONGEST_EPOCH and _NUMBER.fullmatch(text):
            digits = len(text.partition(".")[0])
    elif isinstance(value, int | float) and abs(value) < MOST_EPOCH:  # neither NaN nor endless
        digits = len(str(int(value)))
    if digits is not None:
        fmt = _EPOCHS.get(digits)
        return fmt if fmt is not None and parse_time_ms(value, fmt) is not None else None
    if not isinstance(value, str) or parse_time_ms(value) is None:
        return None
    return "iso8601" if _ISO.fullmatch(value.strip()) else "auto" if re.search("[:]", value) else None


def _time_score(path: str, times_ms: list[int | None], there: list[int], zoned: bool) -> float:
    name, words = plain(called(path)), words_of(called(path))
    score = 3 * len(there) / len(times_ms) - 0.5 * depth_of(path)
    score += 2 if name in TIME else 1 if any(word in TIME or word == "at" for word in words) else 0
    score -= 2 if any(word in NOT_ITS_TIME for word in words) else 0
    score += 2 if order_of(times_ms) in ("ascending", "descending") else 0
    score += 0.5 if len(set(there)) > 1 else -0.5 if len(there) > 1 else 0
    return score + (0 if zoned else -0.5)


def _id_score(path: str, texts: list[str], looks: str) -> float:
    name, words = plain(called(path)), words_of(called(path))
    score = 3.0 if name in ID else 1.5 if words and words[-1] in ("id", "uuid", "guid", "uid", "key") else 0
    score += 1 if looks else 0
    score -= depth_of(path)
    return score + (0.3 if len({len(text) for text in texts}) == 1 and len(texts[0]) >= 8 else 0)
