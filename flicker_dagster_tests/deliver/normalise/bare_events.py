"""Events that tell nothing but their type, one of each type that a vendor's mapping names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

from flicker_dagster.deliver.normalise.mapping import Document, mapping_of
from flicker_dagster.deliver.normalise.tables import table
from flicker_dagster.deliver.normalise.ways import Found, Place
from flicker_dagster.json_paths import split_path
from flicker_dagster_tests.deliver.normalise.events import types_of


def bare_events(vendor: str) -> list[tuple[str, bytes]]:
    """The types with an event of each. Raises LookupError for a type that no event of such a vendor can have."""
    return [(name, _bare(vendor, name)) for name in types_of(vendor)]


def _bare(vendor: str, name: str) -> bytes:
    mapping = mapping_of(vendor)
    for places in table(vendor, Document)[0].event_type:
        for event in _events(places if isinstance(places, list) else [places], name):
            text = json.dumps(event).encode()
            if mapping.facts(text).event_type == name:
                return text
    raise LookupError(f"{vendor}: no event can be of the type {name!r}")


def _events(places: list[Place], name: str) -> Iterator[dict[str, Any]]:
    """Events in which these places might tell the type, for any way to cut it at its dots."""
    words = name.split(".")
    for cuts in combinations(range(1, len(words)), len(places) - 1):
        parts = [".".join(words[start:end]) for start, end in zip((0, *cuts), (*cuts, len(words)))]
        for values in product(*(_spellings(part) for part in parts)):
            event: dict[str, Any] = {}
            for place, value in zip(places, values):
                _put(event, place, value)
            yield event


def _spellings(word: str) -> list[Any]:
    return [word, int(word)] if word.isdecimal() else [word]


def _put(event: dict[str, Any], place: Place, value: Any) -> None:
    at = place.at if isinstance(place, Found) else place
    if at is None:
        return
    *holders, key = split_path(at)
    for each in holders:
        event = event.setdefault(each, {})
    event[key] = value
