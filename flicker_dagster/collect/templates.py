"""Placeholders in the texts of requests, and places in them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from flicker_dagster.config.vocabulary import Place
from flicker_dagster.errors import BadAnswer, VendorRefused

#: The names are all there are: other braces belong to the text, as in GraphQL.
_PLACEHOLDER = re.compile(r"\{(start|end|limit|cursor|page|offset|member|object|answer)(?:([:.])([^{}]+))?\}")

#: From what stands behind the name (a format behind `:`, a path behind `.`, or nothing) to the text.
Values = Mapping[str, Callable[[str | None], str | None]]


def holds_any(value: Any) -> bool:
    """Does a text, or anything inside a body, hold a placeholder?"""
    if isinstance(value, str):
        return _PLACEHOLDER.search(value) is not None
    if isinstance(value, dict):
        return any(map(holds_any, value.values()))
    return isinstance(value, list) and any(map(holds_any, value))


def filled(value: Any, values: Values, *, spell: Callable[[str], str] = str, whole: bool = False) -> Any:
    """A text, or every text inside a body, with its placeholders filled. What has no value becomes empty, and with `whole`
    raises BadAnswer: an address without a part of it leads somewhere else."""
    if isinstance(value, str):

        def fill(found: re.Match[str]) -> str:
            of = values.get(found[1])
            text = None if of is None else of(found[3])
            if whole and not text:
                raise BadAnswer(f"{found[0][:60]} of the address has no value in what the vendor answered")
            return "" if text is None else spell(text)

        return _PLACEHOLDER.sub(fill, value) if "{" in value else value
    if isinstance(value, dict):
        return {key: filled(inner, values, spell=spell) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, values, spell=spell) for inner in value]
    return value


def put(body: Any, place: Place, text: str) -> Any:
    """A JSON body with a value at a dotted path; numbers in the path are places in arrays. Raises VendorRefused where the
    value is not of the wanted type."""
    return _put(body, place.at.split("."), _typed(place, text))


def _typed(place: Place, text: str) -> Any:
    if place.type == "text":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if place.type == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise VendorRefused(f"{text[:60]!r} goes to {place.at} of the request as a number, and is none")
    if value is None:
        raise VendorRefused(f"{text[:60]!r} goes to {place.at} of the request as JSON, and is none")
    return value


def _put(value: Any, parts: list[str], leaf: Any) -> Any:
    if not parts:
        return leaf
    head, rest = parts[0], parts[1:]
    if isinstance(value, list) or (value is None and head.isdecimal()):
        items = list(value or [])
        at = int(head) if head.isdecimal() else 0
        items += [None] * (at + 1 - len(items))
        items[at] = _put(items[at], rest, leaf)
        return items
    members = dict(value) if isinstance(value, dict) else {}
    members[head] = _put(members.get(head), rest, leaf)
    return members
