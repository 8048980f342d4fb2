"""Short texts of a configuration with parts of an event in them: `{source}`, `{vendor}`, `{event.actor.email|event.user}`.

What an event holds is put in as it is and never read again: it is data, not a template.
"""

from __future__ import annotations

import json
from typing import Any

from flicker_dagster.config.event_templates import PLACEHOLDER, paths_of, template_fault
from flicker_dagster.json_paths import Parts, lookup, readings
from flicker_dagster.json_scan import value_at
from flicker_dagster.json_text import read_json
from flicker_dagster.lazy import lazy


class EventView:
    """One event, taken apart once, and only when something of it is asked for."""

    def __init__(self, event: bytes) -> None:
        self.event = event

    @lazy
    def _read(self) -> Any:
        """None where nobody can read it as a whole."""
        try:
            return read_json(self.event)
        except (ValueError, RecursionError):
            return None

    def value(self, ways: list[Parts]) -> Any:
        """What lies at the first reading of a path where anything lies; None where nothing does."""
        read = self._read
        if isinstance(read, dict):
            for parts in ways:
                if parts[0] in read and (found := lookup(read, parts)) is not None:
                    return found
            return None
        if read is not None:
            return None
        found = (value_at(self.event, parts) for parts in ways)
        return next((each for each in found if each is not None), None)

    def first(self, paths: list[list[Parts]]) -> Any:
        """The first path with a text, number or truth value; else the first with anything."""
        second = None
        for ways in paths:
            value = self.value(ways)
            if value is None or value == "":
                continue
            if not isinstance(value, dict | list):
                return value
            second = value if second is None else second
        return second


class EventText:
    """A text of a configuration, ready to be filled in. Raises ValueError for a placeholder that does not exist."""

    def __init__(self, text: str, *, source: str, vendor: str | None) -> None:
        fault = template_fault(text)
        if fault:
            raise ValueError(fault)
        known = {"source": source, "vendor": vendor or source}
        parts: list[str | list[list[Parts]]] = []
        at = 0
        for found in PLACEHOLDER.finditer(text):
            parts += [text[at : found.start()], _part(found[1], known)]
            at = found.end()
        self._parts = [part for part in [*parts, text[at:]] if part != ""]
        #: The text where it is the same for every event.
        self.fixed = "".join(map(str, self._parts)) if all(isinstance(part, str) for part in self._parts) else None

    def of(self, view: EventView) -> str:
        """Empty where nothing lies at any of its paths."""
        if self.fixed is not None:
            return self.fixed
        return "".join([part if isinstance(part, str) else plain(view.first(part)) for part in self._parts])


def plain(value: Any) -> str:
    """A value of JSON as a person writes it: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _part(inner: str, known: dict[str, str]) -> str | list[list[Parts]]:
    return known[inner] if inner in known else [readings(path) for path in paths_of(inner) or ()]
