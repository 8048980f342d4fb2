"""`match_on` and `exclude_on`: which events to keep, judged by their fields and never by their raw text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flicker_dagster.collect.paths import lookup, split_path
from flicker_dagster.config.models import FieldFilter, SourceConfig
from flicker_dagster.json_text import read_json
from flicker_dagster.types import DecodedPage


class EventFilter:
    """Keeps events that match at least one `match_on` (if there are any) and no `exclude_on`."""

    def __init__(self, source: SourceConfig) -> None:
        self._match = [_Condition(each) for each in source.match_on]
        self._exclude = [_Condition(each) for each in source.exclude_on]

    def mask(self, page: DecodedPage) -> list[bool] | None:
        """Which events of a page to keep; None for all, which costs nothing where no filter is configured."""
        if not self._match and not self._exclude:
            return None
        return [self.keeps(read_json(bytes(event))) for event in page.events]

    def keeps(self, event: Any) -> bool:
        if self._match and not any(condition.holds(event) for condition in self._match):
            return False
        return not any(condition.holds(event) for condition in self._exclude)


class _Condition:
    def __init__(self, condition: FieldFilter) -> None:
        self._parts = split_path(condition.field) if condition.field else None
        self._pattern: re.Pattern[str] = condition.compiled()

    def holds(self, event: Any) -> bool:
        values = _scalars(event) if self._parts is None else _scalars(lookup(event, self._parts))
        return any(self._pattern.search(value) for value in values)


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
