"""What an answer means by its own rules (`answers`): the first that fits counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from flicker_dagster.config.patterns import Pattern, compiled
from flicker_dagster.config.vocabulary import AnswerRule
from flicker_dagster.json_paths import Parts, readings
from flicker_dagster.json_scan import find, read_value
from flicker_dagster.json_text import as_text

#: So much of an answer is searched where a rule has a pattern for the whole of it.
SEARCHED_BYTES = 64 * 1024

_SAYS_ALL_IS_WELL = ("none_left", "ignore")

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@lru_cache(256)
def _compiled(pattern: str) -> Pattern:
    return compiled(pattern)


def rule_of(rules: Sequence[AnswerRule], status: int, headers: Mapping[str, str], body: bytes) -> AnswerRule | None:
    """The first rule that fits an answer; None where none does. A server that fails has not said that there is nothing, nor
    that all is well, unless a rule names that very status."""
    fails = status >= 500
    heeded = (rule for rule in rules if rule.status is not None or not fails or rule.means not in _SAYS_ALL_IS_WELL)
    return next((rule for rule in heeded if fits(rule, status, headers, body)), None)


def fits(rule: AnswerRule, status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Does an answer have the rule's status, and what it looks for where it looks?"""
    if rule.status is not None and status not in (rule.status if isinstance(rule.status, list) else [rule.status]):
        return False
    if rule.at is None and rule.header is None:
        return rule.matches is None or _found(rule.matches, as_text(body[:SEARCHED_BYTES]))
    values: list[object] = [] if rule.header is None else [headers.get(rule.header)]
    if rule.at is not None:
        values.append(as_text(body[:SEARCHED_BYTES]) if rule.at == "" else _value_at(body, rule.at))
    if rule.matches is None:
        return any(value not in (None, False, 0, "", [], {}) for value in values)
    return any(value is not None and _found(rule.matches, _text_of(value)) for value in values)


def _value_at(body: bytes, path: str) -> object:
    ways = readings(path)
    try:
        found = next((text for parts in ways if (text := _strictly_at(body, parts)) is not None), None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _carefully_at(body, ways)
    return None if found is None else read_value(found[:SEARCHED_BYTES])


def _strictly_at(body: bytes, parts: Parts) -> bytes | None:
    """What lies at a path. A rule may look into every page, and most pages are sound: this takes a hundredth of the time that
    reading with care takes. Raises DecodeError, UnicodeDecodeError, RecursionError for what is not."""
    value: msgspec.Raw | None = msgspec.Raw(body)
    for part in parts:
        try:
            value = None if value is None else _OBJECT.decode(value).get(part)
        except msgspec.ValidationError:  # no object
            return None
    return None if value is None else bytes(value)


def _carefully_at(body: bytes, ways: list[Parts]) -> bytes | None:
    try:
        places = (find(body, parts) for parts in ways)
        place = next((place for place in places if place is not None), None)
    except ValueError:
        return None
    return None if place is None else body[place[0] : place[1]]


def _text_of(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _found(pattern: str, text: str) -> bool:
    return bool(_compiled(pattern).found_in(text))
