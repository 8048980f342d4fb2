"""Id and time of single events, read as well as they can be: where a page's decoder gives up, and where dead letters are
sent again."""

from __future__ import annotations

from typing import Any

import msgspec

from flicker_dagster.collect.paths import reader_of
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.json_paths import Parts, readings
from flicker_dagster.json_scan import value_at
from flicker_dagster.times import parse_time_ms

Scalar = str | int | float | bool

#: How much of a value that is no time is told of, in a message.
_SHAPE_CHARS = 40


class EventFields:
    """Reads one event's configured id and time fields. Nothing in an event makes it fail."""

    def __init__(self, spec: RowSpec) -> None:
        self._format, self._zone = spec.time_format, spec.zone
        self.id_paths, self.time_paths = spec.id_paths, spec.time_paths
        self.axis_path = spec.axis_path
        axis = [] if spec.axis_path is None else [spec.axis_path]
        wanted = list(dict.fromkeys([*self.id_paths, *self.time_paths, *axis]))
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

    def axis_ms(self, event: bytes) -> int | None:
        """When an event became available, or None where it does not say."""
        path = self.axis_path or ""
        return parse_time_ms(self._carefully(event, self._ways[path]), self._format, self._zone)

    def time_ms(self, event: bytes) -> int | None:
        """An event's time, or None: it says under which hour the ledger files the id."""
        return self.best_time_ms(self.ids_and_times(event)[1])

    def best_time_ms(self, values: list[Any]) -> int | None:
        """The first of several values that is a time."""
        read = (parse_time_ms(value, self._format, self._zone) for value in values)
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
