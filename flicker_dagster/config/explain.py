"""Validation errors in the user's words: where, what was found, what was expected, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pydantic import ValidationError

from flicker_dagster.config.models import (
    BasicAuth,
    BasicDestinationAuth,
    BearerAuth,
    FieldFilter,
    HeaderAuth,
    HttpDestination,
    Limits,
    Pagination,
    RateLimit,
    Record,
    RetryConfig,
    SourceConfig,
    SweepConfig,
    Tls,
    WindowConfig,
)

#: Which record stands under which key; a source's path ends with one of these, or is the source itself.
_RECORDS: dict[str, list[type[Record]]] = {
    "source": [SourceConfig],
    "destination": [HttpDestination],
    "pagination": [Pagination],
    "retry": [RetryConfig],
    "window": [WindowConfig],
    "sweep": [SweepConfig],
    "rate_limit": [RateLimit],
    "limits": [Limits],
    "tls": [Tls],
    "basic": [BasicAuth],
    "auth": [BearerAuth, BasicDestinationAuth, HeaderAuth],
    "match_on": [FieldFilter],
    "exclude_on": [FieldFilter],
}

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "literal_error": "one of {expected}",
    "union_tag_invalid": "one of {expected_tags}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "string_too_short": "some text",
}


class Problem(NamedTuple):
    line: int
    path: str
    what: str


def explain(error: ValidationError, raw: Any, base: str, line_of: Callable[[str], int], *, root: str) -> list[Problem]:
    """One problem per fault. `root` says which record `raw` was meant to be."""
    problems: dict[str, Problem] = {}
    for fault in error.errors(include_url=False):
        path, parent, key = _locate(fault["loc"], raw, base)
        if path in problems and fault["type"] != "extra_forbidden":
            continue  # the branches of a union fail one by one; the first says enough
        line = line_of(path if fault["type"] != "missing" else parent)
        problems[path] = Problem(line, path, _words(fault, parent, key, root, base))
    return list(problems.values())


def suggestion(found: object, known: Iterable[str]) -> str:
    """` (did you mean …)` where something close is known, else nothing."""
    close = difflib.get_close_matches(str(found), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _locate(loc: tuple[int | str, ...], raw: Any, base: str) -> tuple[str, str, str]:
    """The path of a fault in the file, its parent's, and the last key. Names of union branches are left out."""
    path, parent, value = base, base, raw
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(value, dict) and (part in value or (last and isinstance(part, str))):
            parent, path = path, f"{path}.{part}"
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            parent, path = path, f"{path}[{part}]"
            value = value[part]
    return path, parent, str(loc[-1]) if loc else ""


def _words(fault: Any, parent: str, key: str, root: str, base: str) -> str:
    kind, found = fault["type"], fault.get("input")
    if kind == "missing":
        return f"is missing, expected {_meaning(key, parent, root, base)}"
    if kind == "extra_forbidden":
        return _unknown_key(key, parent, root, base)
    if kind == "union_tag_not_found":
        return (
            "type is missing, expected one of bearer, basic, header"
            if key == "auth"
            else "type is missing, expected http"
        )
    context = {name: value for name, value in (fault.get("ctx") or {}).items()}
    expected = _EXPECTED.get(kind)
    if expected is None:
        return f"found {_shown(found)}: {fault['msg']}"
    if kind == "union_tag_invalid":
        found = context.get("tag", found)
    hint = ""
    if kind in ("literal_error", "union_tag_invalid"):
        options = str(context.get("expected") or context.get("expected_tags")).replace("'", "")
        context |= {"expected": options, "expected_tags": options}
        hint = suggestion(found, options.replace(" or ", ", ").split(", "))
    expected = expected.format(**context)
    if kind.startswith("int_") and key.endswith("_ms"):
        expected = "a whole number of milliseconds"
    return f"found {_shown(found)}, expected {expected}{hint}"


def _unknown_key(key: str, parent: str, root: str, base: str) -> str:
    records = _records_at(parent, root, base)
    known = [name for record in records for name in record.model_fields]
    close = suggestion(key, known)
    if not close:
        for place, others in _RECORDS.items():
            if (
                place not in ("source", "destination")
                and others != records
                and any(key in o.model_fields for o in others)
            ):
                return f"unknown key here; it belongs under {place}"
    return (
        f"unknown key, expected one of {', '.join(sorted(known))}{close}" if len(known) <= 8 else f"unknown key{close}"
    )


def _records_at(parent: str, root: str, base: str) -> list[type[Record]]:
    name = parent[len(base) :].split(".")[-1].split("[")[0]
    return _RECORDS.get(name or root, _RECORDS[root])


def _meaning(key: str, parent: str, root: str, base: str) -> str:
    examples = {
        "name": "a name such as okta-audit-logs",
        "endpoint": "a URL such as https://company.okta.com/api/v1/logs",
        "polling_frequency_ms": "a whole number of milliseconds such as 30000",
        "timestamp_field": "the path of an event's time, such as published",
        "destination": "where the events go, such as {type: http, endpoint: …}",
        "type": "the type, such as http",
        "token": "the token, such as ${SIEM_API_KEY}",
        "pattern": "a regular expression",
    }
    return examples.get(key, "a value")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "…")
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return (
        "nothing"
        if value is None
        else {True: "true", False: "false"}.get(value, repr(value))
        if isinstance(value, bool)
        else repr(value)
    )
