"""`match_on` and `exclude_on`: which events to keep, judged by their fields and never by their raw text.

Nothing in an event makes this fail or take long. An event that cannot be judged (a value too long to be searched) is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from flicker_dagster.collect.paths import Reader
from flicker_dagster.config.groups import FieldFilter
from flicker_dagster.config.patterns import MOST_TEXT_BYTES, compiled
from flicker_dagster.errors import FlickerError
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_scan import Damaged, find, scalars
from flicker_dagster.json_text import array_of, read_json
from flicker_dagster.types import DecodedPage

log = logging.getLogger("flicker.collect")

#: Verdicts remembered per condition: the values of a filter's field repeat, and a look-up is cheaper than a search.
MAX_REMEMBERED = 10_000
MAX_REMEMBERED_CHARS = 200

#: Of a large page so many bytes are judged at a time: what a field holds may take many times its size in memory.
AT_ONCE_BYTES = 8 << 20

#: From a page's events to the values of one field, one per event.
Columns = Callable[[str], Sequence[Any]]


class _TooLong:
    """Stands for what is too long to be searched."""


_TOO_LONG = _TooLong()


class EventFilter:
    """Keeps events that match at least one `match_on` (if there are any) and no `exclude_on`; `source` names the stream in
    warnings."""

    def __init__(self, match_on: list[FieldFilter], exclude_on: list[FieldFilter], *, source: str) -> None:
        self._source_name = source
        self._match = [_Condition(each) for each in match_on]
        self._exclude = [_Condition(each) for each in exclude_on]
        self._reader = _reader([*self._match, *self._exclude])
        self._told = False
        if self._reader is not None:
            self._decoder = msgspec.json.Decoder(list[self._reader.type])

    def mask(self, page: DecodedPage) -> list[bool] | None:
        """Which events of a page to keep; None for all, which costs nothing where no filter is configured."""
        if not self._match and not self._exclude:
            return None
        count = len(page.events)
        step = max(1, min(count, count * AT_ONCE_BYTES // max(1, page.size_bytes)))
        unjudged: set[int] = set(page.unfit)  # they are dead letters, whatever a filter says
        keep: list[bool] = []
        for first in range(0, count, step):
            keep += self._part(page, first, min(count, first + step), unjudged)
        for index in unjudged:
            keep[index] = True
        if len(unjudged) > len(page.unfit) and not self._told:
            self._told = True
            log.warning(
                "%s: an event holds a value that is too long for match_on and exclude_on (%d bytes at most); such events "
                "are kept",
                self._source_name,
                min(each.pattern.most_bytes for each in [*self._match, *self._exclude]),
            )
        return keep

    def _part(self, page: DecodedPage, first: int, end: int, unjudged: set[int]) -> list[bool]:
        """The verdicts on some events of a page; the numbers of those that cannot be judged are added to `unjudged`."""
        columns, unsure = self._columns(page, first, end), set[int]()
        keep = [not self._match] * (end - first)
        for condition in self._match:
            keep = [kept or holds for kept, holds in zip(keep, condition.verdicts(columns, unsure))]
        for condition in self._exclude:
            keep = [kept and not holds for kept, holds in zip(keep, condition.verdicts(columns, unsure))]
        unjudged.update(first + index for index in unsure)
        return keep

    def _columns(self, page: DecodedPage, first: int, end: int) -> Columns:
        """Only the filter's fields are decoded, where each condition names one and the events have the usual shape."""
        events = page.events[first:end]
        usual = not page.unfit and (page.size_bytes <= AT_ONCE_BYTES or max(map(_size, events)) <= MOST_TEXT_BYTES)
        if self._reader is not None and usual:
            try:
                rows = self._decoder.decode(array_of(events))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a scalar for an object, or bad UTF-8
                pass
            else:
                reader = self._reader
                return lambda path: reader.column(path, rows)
        whole = [None if index in page.unfit else _Event(bytes(event)) for index, event in enumerate(events, first)]
        return lambda path: [None if event is None else event.at(path) for event in whole]


class _Event:
    """An event of an unusual page, taken apart as well as it can be, and only where it is not too large for that."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._value: Any = None
        self._readable = False
        if len(text) <= MOST_TEXT_BYTES:
            try:
                self._value = read_json(text)
                self._readable = True
            except (ValueError, RecursionError):
                pass

    def at(self, path: str) -> Any:
        """What lies at a path ("" for all of it); a list of its scalars where nobody reads the event as a whole."""
        if self._readable:
            return lookup_any(self._value, readings(path)) if path else self._value
        if not path:
            return self._scalars(self._text)
        for parts in readings(path):
            try:
                place = find(self._text, parts)
            except Damaged:
                continue
            if place is not None:
                return self._scalars(self._text[place[0] : place[1]])
        return None

    @staticmethod
    def _scalars(text: bytes) -> Any:
        return list(scalars(text)) if len(text) <= MOST_TEXT_BYTES else _TOO_LONG


class _Condition:
    def __init__(self, condition: FieldFilter) -> None:
        self.path = condition.field or ""
        self.pattern = compiled(condition.pattern)
        self._remembered: dict[str, bool] = {}

    def verdicts(self, columns: Columns, unjudged: set[int]) -> list[bool]:
        """Does the condition hold, event by event? Events that it cannot judge are added to `unjudged`."""
        remembered, search = self._remembered, self._search
        values = columns(self.path)
        with suppress(TypeError, KeyError):  # an object or a list is no key
            return list(map(remembered.__getitem__, values))
        verdicts: list[bool] = []
        for index, value in enumerate(values):
            if type(value) is str:
                holds = remembered.get(value)
                if holds is None:
                    holds = search(value)
                    if holds is None:
                        unjudged.add(index)
                        holds = False
                verdicts.append(holds)
            else:
                holds = self._any(value)
                if holds is None:
                    unjudged.add(index)
                verdicts.append(bool(holds))
        return verdicts

    def _search(self, text: str) -> bool | None:
        """Search a text that is not remembered, and remember it if it is short. None where it is too long to be searched."""
        holds = self.pattern.found_in(text)
        if holds is not None and len(text) <= MAX_REMEMBERED_CHARS:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[text] = holds
        return holds

    def _any(self, value: Any) -> bool | None:
        """Does it hold for any scalar below a value? None where one of them is too long, and none of the others holds."""
        if value is _TOO_LONG:
            return None
        found: bool | None = False
        remembered = self._remembered
        for text in _scalars(value):
            holds = remembered.get(text)
            if holds is None:
                holds = self._search(text)
            if holds:
                return True
            found = None if holds is None else found
        return found


def _size(event: bytes | msgspec.Raw) -> int:
    return len(memoryview(event))


def _reader(conditions: list[_Condition]) -> Reader | None:
    """A reader of just the fields asked about, or None where a condition looks at whole events or fields overlap."""
    if not conditions or not all(condition.path for condition in conditions):
        return None
    try:
        return Reader(dict.fromkeys((condition.path for condition in conditions), Any), "Filtered")
    except FlickerError:
        return None


def _scalars(value: Any) -> Iterator[str]:
    """Every scalar below a value, as the text JSON would show (strings without quotes); null is no value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
        elif isinstance(found, bool):
            yield "true" if found else "false"
        elif found is not None:
            yield str(found)
