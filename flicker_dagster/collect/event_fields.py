"""Id and time of single events, read as well as they can be: where a page's decoder gives up, and where dead letters are
sent again."""

from __future__ import annotations

from typing import Any

import msgspec

from flicker_dagster.collect.paths import reader_of
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.json_paths import Parts, readings
from flicker_dagster.json_scan import value_at
from flicker_dagster.times import parse_time_ms

Scalar = str | int | float | bool

#: How much of a value that is no time is told of, in a message.
_SHAPE_CHARS = 40


def as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


class EventFields:
    """Reads one event's configured id and time fields. Nothing in an event makes it fail."""

    def __init__(self, source: SourceConfig) -> None:
        self._source = source
        self._zone = source.zone
        self.id_paths, self.time_paths = as_list(source.id_field), as_list(source.timestamp_field)
        wanted = list(dict.fromkeys([*self.id_paths, *self.time_paths]))
        self.reader = reader_of("Event", *((path, Scalar) for path in wanted))
        self._decoder = msgspec.json.Decoder(self.reader.type)
        self._ways: dict[str, list[Parts]] = {path: readings(path) for path in wanted}

    def ids_and_times(self, event: bytes) -> tuple[tuple[Any, ...], list[Any]]:
        """The values at the id fields and at the time fields; None where nothing lies."""
        try:
            row = self._decoder.decode(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            values = {path: self._carefully(event, ways) for path, ways in self._ways.items()}
        else:
            values = {path: self.reader.get(path, row) for path in self._ways}
        return tuple(values[path] for path in self.id_paths), [values[path] for path in self.time_paths]

    def time_ms(self, event: bytes) -> int | None:
        """An event's time, or None: it says under which hour the ledger files the id."""
        return self.best_time_ms(self.ids_and_times(event)[1])

    def best_time_ms(self, values: list[Any]) -> int | None:
        """The first of several values that is a time."""
        read = (parse_time_ms(value, self._source.timestamp_format, self._zone) for value in values)
        return next((ms for ms in read if ms is not None), None)

    @staticmethod
    def _carefully(event: bytes, ways: list[Parts]) -> Any:
        found = (value_at(event, parts) for parts in ways)
        return next((value for value in found if value is not None), None)


def shape_of(values: list[Any]) -> str:
    """What stands where a time was expected, told without telling it: digits as 9, letters as a."""
    value = next((value for value in values if value is not None), None)
    if value is None:
        return "nothing"
    if isinstance(value, bool | dict | list):
        return {bool: "true or false", dict: "an object", list: "a list"}[type(value)]
    text = str(value)[: _SHAPE_CHARS + 1]
    shape = "".join("9" if c.isdecimal() else "a" if c.isalpha() else c if c in " -:/.,+T" else "?" for c in text)
    shape = shape if len(shape) <= _SHAPE_CHARS else shape[:_SHAPE_CHARS] + "…"
    return f"a number like {shape}" if isinstance(value, int | float) else f"text like '{shape}'"
