"""Texts of headers about quotas: numbers, lists with parameters, keys and values, and times in every form."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from flicker_dagster.times import parse_http_date_ms, parse_time_ms

#: A smaller number is no time of the epoch (1973 in seconds), but seconds to wait.
LEAST_EPOCH = 1e8

#: Of a longer text only the beginning is read.
LONGEST_TEXT = 512

_LEADING = re.compile(r"\s*(-?[0-9]{1,30}(?:\.[0-9]{1,30})?)\s*(?:[,;].*)?", re.DOTALL)
_PART = re.compile(r'"([^"]{0,100})"|([A-Za-z][A-Za-z0-9_-]{0,60})=([^,;"()\s]{0,100})')
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9})ms)?")


def when(text: str, fmt: str) -> tuple[float | None, float | None]:
    """The time that is told, ms of the vendor's clock, or the seconds from now."""
    text = text[:LONGEST_TEXT].strip()
    if fmt == "seconds":
        return None, leading(text)
    if fmt == "http_date":
        return parse_http_date_ms(text), None
    if fmt != "auto":
        return parse_time_ms(text, fmt), None
    number = leading(text)
    if number is not None and number < LEAST_EPOCH:
        return None, number
    at_ms = parse_time_ms(text)
    return (None, duration_s(text)) if at_ms is None else (at_ms, None)


def duration_s(text: str) -> float | None:
    """`6m0s`, `1s`, `250ms`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds, millis = (float(part or 0) for part in found.groups())
    return hours * 3_600 + minutes * 60 + seconds + millis / 1000


def leading(text: str | None) -> float | None:
    """The number at the beginning of a list (`160, 160;w=1`)."""
    if text is None:
        return None
    if text.isdecimal() and len(text) < 16:
        return float(text)
    found = _LEADING.fullmatch(text[:LONGEST_TEXT])
    return None if found is None else float(found[1])


def number_of(text: str | None) -> float | None:
    try:
        number = math.nan if text is None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def groups_of(text: str) -> list[dict[str, str]]:
    """The keys and values of a text, apart where a quoted name begins or a key comes again. A name is under ``""``."""
    groups: list[dict[str, str]] = [{}]
    for key, value in parts_of(text):
        if groups[-1] and (key in groups[-1] or key == ""):
            groups.append({})
        groups[-1][key] = value
    if "" not in groups[0] and (first := _LEADING.fullmatch(text)) is not None:  # a policy such as 100;w=60
        groups[0].setdefault("q", first[1])
    return groups


def policy_of(group: dict[str, str], number: int, policies: list[dict[str, str]]) -> dict[str, str]:
    """The policy of that name, or else the one in the same place."""
    name = group.get("")
    named = next((policy for policy in policies if name is not None and policy.get("") == name), None)
    if named is not None:
        return named
    return policies[number] if number < len(policies) and name is None else {}


def parts_of(text: str) -> list[tuple[str, str]]:
    return [(key.lower(), value) if key else ("", quoted) for quoted, key, value in _PART.findall(text)]


def first_of(group: Mapping[str, str], keys: tuple[str, ...]) -> float | None:
    return next((number_of(group[key]) for key in keys if key in group), None)
