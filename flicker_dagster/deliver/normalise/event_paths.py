"""Where a mapping finds things in a vendor's event: `a.b`, and of a list the first item that is so: `target[type=User].id`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flicker_dagster.json_paths import Parts, readings

_SELECTED = re.compile(r"(?P<list>[^\[\]]+)\[(?P<key>[^\[\]=]+)=(?P<values>[^\[\]=]+)\](?:\.(?P<rest>[^\[\]]+))?")


class EventPath:
    """A path into a decoded event. Raises ValueError where it is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        found = _SELECTED.fullmatch(path)
        if found is None and (not path or "[" in path or "]" in path):
            raise ValueError(f"{path!r} is no path: expected a.b, or list[key=value|value].a")
        self._list = readings(path if found is None else found["list"])
        self._key = None if found is None else readings(found["key"])
        self._values = () if found is None else tuple(found["values"].split("|"))
        self._rest = None if found is None or not found["rest"] else readings(found["rest"])

    def of(self, event: dict[str, Any]) -> Any:
        """What lies there, or None."""
        value = _lookup(event, self._list)
        if self._key is None:
            return value
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict) and _lookup(item, self._key) in self._values:
                return item if self._rest is None else _lookup(item, self._rest)
        return None

    def take_from(self, event: dict[str, Any]) -> None:
        """Remove the value, and the objects that are empty then. An item of a list stays."""
        if self._key is None:
            parts = next((parts for parts in self._list if _holds(event, parts)), None)
            if parts is not None:
                _remove(event, parts)


def _lookup(event: dict[str, Any], ways: list[Parts]) -> Any:
    """As `json_paths.lookup_any`, which would cost most of what normalising does: an event is asked for dozens of paths."""
    for parts in ways:
        value: Any = event
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                break
        else:
            return value
    return None


def _holds(event: dict[str, Any], parts: Sequence[str]) -> bool:
    value: Any = event
    for part in parts:
        if not isinstance(value, dict) or value.get(part) is None:
            return False
        value = value[part]
    return True


def _remove(holder: dict[str, Any], parts: Sequence[str]) -> None:
    head, *rest = parts
    if rest:
        _remove(holder[head], rest)
    if not rest or not holder[head]:
        del holder[head]
