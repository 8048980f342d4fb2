"""Ways to a fact of an event: what lies at a path, what a pattern finds in it, or a word of the mapping's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import re2

from flicker_dagster.deliver.normalise.event_paths import EventPath
from flicker_dagster.deliver.normalise.fact_kinds import fact_of, word_of


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact that lies inside of a text: the group `value` of the pattern, searched for by RE2; or a `value` that holds where
    anything lies at the path, and always where there is none."""

    at: str | None = None
    pattern: str | None = None
    value: str | None = None


Place = str | Found


class Way:
    """One way to a fact."""

    def __init__(self, place: Place) -> None:
        found = Found(at=place) if isinstance(place, str) else place
        self._value = found.value
        self.path = None if found.at is None else EventPath(found.at)
        self._pattern = None if found.pattern is None else re2.compile(found.pattern)
        #: Is all of what lies there told?
        self.whole = found.pattern is None and found.value is None

    def fact(self, slot: str, event: dict[str, Any], words: Mapping[str, str] | None) -> tuple[Any, EventPath | None]:
        """The fact, and where it lies if it is told in full; None where there is no such fact."""
        found = None if self.path is None else self.path.of(event)
        if self._value is not None:
            return (self._value if self.path is None or found is not None else None), None
        if self._pattern is not None:
            found = self._searched(found)
        if found is None:
            return None, None
        value = fact_of(slot, found) if words is None else words.get(word_of(found), words.get("*"))
        return value, self.path if self.whole and (words is None or word_of(found) in words) else None

    def _searched(self, text: Any) -> str | None:
        assert self._pattern is not None
        try:
            found = self._pattern.search(text) if isinstance(text, str) else None
        except UnicodeEncodeError:  # lone surrogates
            return None
        return None if found is None else found["value"]


class TypeWay:
    """One way to an event's type: a single place, or several whose words are joined with dots (`vault.create`)."""

    def __init__(self, places: Place | list[Place]) -> None:
        self._ways = [Way(place) for place in (places if isinstance(places, list) else [places])]

    def type_of(self, event: dict[str, Any]) -> tuple[str | None, EventPath | None]:
        """The type, and where it lies if it lies in one place; None where a part of it is missing."""
        facts = [way.fact("event.type", event, None) for way in self._ways]
        words = [value for value, _ in facts if value is not None]
        if len(words) < len(facts):
            return None, None
        return ".".join(words), facts[0][1] if len(facts) == 1 else None


Ways = dict[str, list[Way]]


def ways_of(fields: Mapping[str, Place | list[Place]]) -> Ways:
    return {slot: [Way(place) for place in _listed(places)] for slot, places in fields.items()}


def _listed(places: Place | list[Place]) -> Iterable[Place]:
    return places if isinstance(places, list) else [places]
