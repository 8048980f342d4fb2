"""The question that a person already knows how to ask, taken apart: which of its parameters are a span of time, a page size, a
page. What is left are constants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from flicker_dagster.config.secrets import is_secret_key, references
from flicker_dagster.infer.finding import Findings
from flicker_dagster.infer.names import LIMIT, OFFSET, PAGE, UNTIL_WORDS, plain, words_of
from flicker_dagster.infer.rows import joined
from flicker_dagster.times import parse_time_ms

#: A time inside of a longer text, such as GitHub's `created:>=2026-05-02`, SOQL's and FQL's.
_INSIDE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_SPELLED = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "rfc3339"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "%Y-%m-%dT%H:%M:%S.%fZ"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "%Y-%m-%dT%H:%M:%SZ"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "%Y-%m-%dT%H:%M:%S+00:00"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", "%Y-%m-%dT%H:%M:%S+0000"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "%Y-%m-%dT%H:%M:%S"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "%Y-%m-%d %H:%M:%S"),
    (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"),
    (r"\d{10}", "unix"),
    (r"\d{13}", "unix_ms"),
    (r"\d{16}", "unix_us"),
    (r"\d{19}", "unix_ns"),
)


class Spot(msgspec.Struct, frozen=True):
    """A parameter with a meaning: where it goes, and the value that it had."""

    into: str
    at: str
    value: Any

    def place(self) -> dict[str, Any]:
        """As `request.start` or `paging.limit` have it."""
        kind = {"type": "number"} if self.into == "json" and isinstance(self.value, int) else {}
        return ({} if self.into == "query" else {"into": self.into}) | {"at": self.at} | kind


class Question(msgspec.Struct):
    """`findings` are keys of a source. `secrets` are values by the variable that stands for them in what is written."""

    endpoint: str
    findings: Findings
    secrets: dict[str, str]
    start_ms: int | None = None
    end_ms: int | None = None
    time_spots: list[str] = []
    limit: Spot | None = None
    page: Spot | None = None
    offset: Spot | None = None


def question_of(
    url: str,
    *,
    method: str = "GET",
    body: Any = None,
    headers: dict[str, str] | None = None,
    params: list[tuple[str, str]] | None = None,
) -> Question:
    """The address and what goes with it. Credentials that are written out in it become variables."""
    endpoint, _, query = url.partition("#")[0].partition("?")
    asked = Question(endpoint, Findings(), {})
    asked.findings.note("endpoint", endpoint, "sure", "given")
    pairs = [*parse_qsl(query, keep_blank_values=True), *(params or [])]
    constants = dict(_constants(asked, pairs))
    if constants:
        inside = "{start}" in str(constants) or "{end}" in str(constants)
        why = "given; {start} and {end} stand for the span asked for" if inside else "given, sent as it is"
        asked.findings.note("query_params", constants, "sure", why)
    for name, value in (headers or {}).items():
        asked.findings.note(f"headers.{_key(name)}", _hidden(asked, name, value), "sure", "given")
    if method != "GET":
        asked.findings.note("request.method", method, "sure", "given")
    if body is not None:
        left = _without_spots(asked, body)
        asked.findings.note("request.body", left, "sure", "given")
    return asked


def _constants(asked: Question, pairs: list[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    for name, values in grouped.items():
        if len(values) == 1 and _spotted(asked, "query", name, values[0]):
            continue
        if len(values) == 2 and all(_time_of(value) for value in values):  # a start and an end under one name
            _span(asked, values[0], "{start}", name)
            _span(asked, values[1], "{end}", name)
            yield name, ["{start}", "{end}"]
            continue
        kept = [_hidden(asked, name, _filled(asked, name, value)) for value in values]
        yield name, kept[0] if len(kept) == 1 else kept


def _spotted(asked: Question, into: str, at: str, value: Any) -> bool:
    """Is it a parameter with a meaning? Then it is remembered, and no constant."""
    found = _time_of(value)
    if found is not None:
        end = bool(UNTIL_WORDS & set(words_of(at)))
        key = "request.end" if end else "request.start"
        if asked.findings.get(key) is not None:
            return False
        fmt, ms = found
        known = asked.findings.get("time_filter_format")
        if known is not None and known.value != fmt:
            return False
        asked.findings.note(
            key, Spot(into, at, value).place(), "probable", f"its value in the question is a time ({fmt})"
        )
        asked.findings.note("time_filter_format", fmt, "probable", f"{at} is written so")
        asked.time_spots.append(at)
        asked.start_ms, asked.end_ms = (asked.start_ms, ms) if end else (ms, asked.end_ms)
        return True
    name, number = plain(at), _number(value)
    short = plain(re.split(r"[.\[]", at.rstrip("]"))[-1])
    if number is not None and ({name, short} & LIMIT) and 1 <= number <= 100_000 and asked.limit is None:
        asked.limit = Spot(into, at, number)
    elif number is not None and number < 10**7 and name in OFFSET and asked.offset is None:
        asked.offset = Spot(into, at, number)
    elif number is not None and number < 10**6 and (name in PAGE or name == "pagenumber") and asked.page is None:
        asked.page = Spot(into, at, number)
    else:
        return False
    return True


def _filled(asked: Question, name: str, value: str) -> str:
    """A text with the times that stand inside of it replaced; a bound behind `<` or `to` is the end."""
    if _INSIDE.search(value) is None or asked.findings.get("request.start") or references(value):
        return value
    seen: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        spelled = _time_of(found[0])
        known = asked.findings.get("time_filter_format")
        if spelled is None or (known is not None and known.value != spelled[0]):
            return found[0]
        before = value[max(0, found.start() - 12) : found.start()]
        end = "<" in before or bool(UNTIL_WORDS & set(words_of(before))) or "{start}" in seen
        seen.append("{end}" if end else "{start}")
        _span(asked, found[0], seen[-1], name)
        return seen[-1]

    return _INSIDE.sub(stand_in, value)


def _span(asked: Question, text: str, holder: str, name: str) -> None:
    found = _time_of(text)
    assert found is not None
    fmt, ms = found
    asked.findings.note("time_filter_format", fmt, "probable", f"the times in {name} are written so")
    asked.time_spots.append(name)
    asked.start_ms, asked.end_ms = (ms, asked.end_ms) if holder == "{start}" else (asked.start_ms, ms)


def _without_spots(asked: Question, body: Any, path: str = "") -> Any:
    """A JSON body without the parameters that have a meaning."""
    if isinstance(body, dict):
        left = {}
        for key, inner in body.items():
            at = joined(path, key)
            if isinstance(inner, dict | list):
                kept = _without_spots(asked, inner, at)
                if kept or not inner:
                    left[key] = kept
            elif not _spotted(asked, "json", at, inner):
                left[key] = _filled(asked, at, inner) if isinstance(inner, str) else inner
        return left
    if isinstance(body, list):
        return [
            _without_spots(asked, inner, f"{path}.{number}" if path else str(number))
            for number, inner in enumerate(body)
        ]
    return _filled(asked, path, body) if isinstance(body, str) else body


def _time_of(value: Any) -> tuple[str, int] | None:
    """The format that a value is written in, and the instant; None for what is no time."""
    text = str(value)
    for pattern, fmt in _SPELLED:
        if re.fullmatch(pattern, text) and not isinstance(value, bool):
            ms = parse_time_ms(text, fmt if fmt.startswith("unix") else "iso8601")
            return None if ms is None else (fmt, ms)
    return None


def _number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else None


def _hidden(asked: Question, name: str, value: str) -> str:
    """A credential becomes a variable, so that it is in no file."""
    if references(value) or not is_secret_key(name) or not value:
        return value
    variable = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()
    asked.secrets[variable] = value
    return f"${{{variable}}}"


def _key(name: str) -> str:
    return name.replace(".", "\\.")
