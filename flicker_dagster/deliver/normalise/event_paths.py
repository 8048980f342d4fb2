"""Where a mapping finds things in a vendor's event: `a.b`, and of a list the first item that is so: `target[type=User].id`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flicker_dagster.json_paths import Parts, readings

_STEP = re.compile(r"(?P<to>[^\[\]]+)(?:\[(?P<key>[^\[\]=]+)=(?P<values>[^\[\]=]+)\](?:\.(?=.)|$))?")


@dataclass(frozen=True)
class _Step:
    """A part of a path: to a value, and where a `key` is given, to the item there whose key has one of these values."""

    to: list[Parts]
    key: list[Parts] | None
    values: tuple[str, ...]

    def of(self, holder: Any) -> Any:
        value = _lookup(holder, self.to)
        if self.key is None:
            return value
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict) and _word(_lookup(item, self.key)) in self.values:
                return item
        return None


class EventPath:
    """A path into a decoded event. What stands in brackets chooses among the items of a list, or says what an object must be
    like; numbers are compared as they are written. Raises ValueError where it is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._steps = [_step(found) for found in _STEP.finditer(path)]
        if (
            not path
            or "".join(found[0] for found in _STEP.finditer(path)) != path
            or any(not s.to for s in self._steps)
        ):
            raise ValueError(f"{path!r} is no path: expected a.b, or list[key=value|value].a")

    def of(self, event: dict[str, Any]) -> Any:
        """What lies there, or None."""
        value: Any = event
        for step in self._steps:
            value = step.of(value)
            if value is None:
                break
        return value

    def take_from(self, event: dict[str, Any]) -> None:
        """Remove the value, and the objects that are empty then. What was chosen by its value stays."""
        step, *others = self._steps
        if step.key is None and not others:
            parts = next((parts for parts in step.to if _holds(event, parts)), None)
            if parts is not None:
                _remove(event, parts)


def _step(found: re.Match[str]) -> _Step:
    chosen = found["key"]
    return _Step(
        readings(found["to"]),
        None if chosen is None else readings(chosen),
        () if chosen is None else tuple(found["values"].split("|")),
    )


def _word(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


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
