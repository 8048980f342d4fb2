"""`match_on` and `exclude_on`: which events to keep, judged by their fields and never by their raw text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from flicker_dagster.collect.paths import Reader, lookup, split_path
from flicker_dagster.config.models import FieldFilter, SourceConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.json_text import read_json
from flicker_dagster.types import DecodedPage

#: Verdicts remembered per condition: the values of a filter's field repeat, and a look-up is cheaper than a search.
MAX_REMEMBERED = 10_000

#: From a page's events to the values of one field, one per event.
Columns = Callable[[tuple[str, ...]], Sequence[Any]]


class EventFilter:
    """Keeps events that match at least one `match_on` (if there are any) and no `exclude_on`."""

    def __init__(self, source: SourceConfig) -> None:
        self._match = [_Condition(each) for each in source.match_on]
        self._exclude = [_Condition(each) for each in source.exclude_on]
        self._reader = _reader([*self._match, *self._exclude])
        if self._reader is not None:
            self._decoder = msgspec.json.Decoder(list[self._reader.type])

    def mask(self, page: DecodedPage) -> list[bool] | None:
        """Which events of a page to keep; None for all, which costs nothing where no filter is configured."""
        if not self._match and not self._exclude:
            return None
        columns = self._columns(page.events)
        keep = [not self._match] * len(page.events)
        for condition in self._match:
            keep = [kept or holds for kept, holds in zip(keep, condition.verdicts(columns))]
        for condition in self._exclude:
            keep = [kept and not holds for kept, holds in zip(keep, condition.verdicts(columns))]
        return keep

    def _columns(self, events: Sequence[Any]) -> Columns:
        """Only the filter's fields are decoded, where each condition names one and the events have the usual shape."""
        if self._reader is not None:
            try:
                rows = self._decoder.decode(b"".join((b"[", b",".join(events), b"]")))
            except (msgspec.DecodeError, UnicodeDecodeError):  # a scalar where an object was expected, or bad UTF-8
                pass
            else:
                reader = self._reader
                return lambda parts: reader.column(parts, rows)
        whole = [read_json(bytes(event)) for event in events]
        return lambda parts: [lookup(event, parts) for event in whole]


class _Condition:
    def __init__(self, condition: FieldFilter) -> None:
        self.parts = split_path(condition.field) if condition.field else ()
        self._pattern: re.Pattern[str] = condition.compiled()
        self._remembered: dict[str, bool] = {}

    def verdicts(self, columns: Columns) -> list[bool]:
        """Does the condition hold, event by event?"""
        remembered = self._remembered
        if len(remembered) > MAX_REMEMBERED:
            remembered.clear()
        verdicts: list[bool] = []
        for value in columns(self.parts):
            if type(value) is str:
                holds = remembered.get(value)
                if holds is None:
                    holds = remembered[value] = self._pattern.search(value) is not None
                verdicts.append(holds)
            else:
                verdicts.append(any(self._pattern.search(text) for text in _scalars(value)))
        return verdicts


def _reader(conditions: list[_Condition]) -> Reader | None:
    """A reader of just the fields asked about, or None where a condition looks at whole events or fields overlap."""
    if not conditions or not all(condition.parts for condition in conditions):
        return None
    try:
        return Reader(dict.fromkeys((condition.parts for condition in conditions), Any), "Filtered")
    except FlickerError:
        return None


def _scalars(value: Any) -> Iterator[str]:
    """Every scalar below a value, as the text JSON would show (strings without quotes); null is no value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is not None:
        yield str(value)
