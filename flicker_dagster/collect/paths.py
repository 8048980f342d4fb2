"""The msgspec types that decode nothing but what lies at the end of configured paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from flicker_dagster.errors import FlickerError
from flicker_dagster.json_paths import Parts, readings
from flicker_dagster.readers import ready


class Reader:
    """A struct type for a set of configured paths, and what lies at each of them in a decoded struct.

    `leaves` maps a path to the type wanted at its end. A path with dots is read in every way it can be meant (`readings`).
    Raises FlickerError where one path ends inside another.
    """

    def __init__(self, leaves: dict[str, Any], name: str) -> None:
        tree: dict[str, Any] = {}
        ways = {path: readings(path) for path in leaves}
        for path, leaf in leaves.items():
            _plant(tree, ways[path][-1], leaf)
        for path, leaf in leaves.items():  # a literal reading gives way to what another path needs
            ways[path] = [parts for parts in ways[path][:-1] if _planted(tree, parts, leaf)] + ways[path][-1:]
        self._names: dict[Parts, list[str]] = {}
        self.type = ready(self._struct(tree, name, ()))
        self._getters = {path: [_getter(self._names[parts]) for parts in each] for path, each in ways.items()}
        self._quick = {
            path: [attrgetter(".".join(self._names[parts])) for parts in each] for path, each in ways.items()
        }
        self._ways = ways

    def get(self, path: str, value: Any) -> Any:
        """What lies at a path of one decoded struct; None where it is absent or null."""
        return next(iter(self.each(path, value)), None)

    def each(self, path: str, value: Any) -> list[Any]:
        """What lies at each reading of a path of one decoded struct, without what is absent or null."""
        return [found for get in self._getters[path] if (found := get(value)) is not None]

    def column(self, path: str, rows: Sequence[Any]) -> list[Any]:
        """The values at a path of many decoded structs; None where it is absent or null. A loop in C where it can be."""
        column: list[Any] | None = None
        for quick, get in zip(self._quick[path], self._getters[path]):
            try:
                values = list(map(quick, rows))
            except AttributeError:  # what should hold the value is null or absent in some row
                values = [get(row) for row in rows]
            else:
                absent = values.count(UNSET)
                if absent == len(values):
                    continue
                values = [None if value is UNSET else value for value in values] if absent else values
            column = values if column is None else [old if old is not None else new for old, new in zip(column, values)]
            if None not in column:
                break
        return [None] * len(rows) if column is None else column

    def holds(self, path: str, value: Any) -> bool:
        """Is there anything at a path of a decoded struct, if only null?"""
        return any(_holds(self._names[parts], value) for parts in self._ways[path])

    def _struct(self, tree: dict[str, Any], name: str, above: Parts) -> type[msgspec.Struct]:
        fields, rename = [], {}
        for number, (key, leaf) in enumerate(tree.items()):
            field = f"f{number}"
            rename[field] = key
            parts = (*above, key)
            self._names[parts] = [*self._names.get(above, []), field]
            inner = self._struct(leaf, f"{name}_{number}", parts) if isinstance(leaf, dict) else leaf
            fields.append((field, inner if inner is msgspec.Raw else inner | None | UnsetType, UNSET))
        return msgspec.defstruct(name, fields, rename=rename, gc=False)


@lru_cache(maxsize=256)
def reader_of(name: str, *leaves: tuple[str, Any]) -> Reader:
    """The reader of these paths with their types; made once for all walks of a process, as making it takes longer than
    reading a small answer. Raises FlickerError as `Reader` does."""
    return Reader(dict(leaves), name)


def _plant(tree: dict[str, Any], parts: Parts, leaf: Any) -> None:
    node = tree
    for part in parts[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise FlickerError(f"field {'.'.join(parts)!r} lies inside another configured field")
    if parts[-1] in node:
        raise FlickerError(f"field {'.'.join(parts)!r} is configured as a value and as its container")
    node[parts[-1]] = leaf


def _planted(tree: dict[str, Any], parts: Parts, leaf: Any) -> bool:
    """Add a reading of a path where nothing is in its way."""
    node: Any = tree
    for part in parts:
        if not isinstance(node, dict):
            return False
        node = node.get(part, {})
    if node != {}:
        return False
    _plant(tree, parts, leaf)
    return True


def _holds(names: list[str], value: Any) -> bool:
    for name in names:
        if value is None or value is UNSET:
            return False
        value = getattr(value, name)
    return value is not UNSET


def _getter(names: list[str]) -> Callable[[Any], Any]:
    """From a decoded struct to the value at a path; None where it is absent or null."""

    def get(value: Any) -> Any:
        for name in names:
            if value is None or value is UNSET:
                return None
            value = getattr(value, name)
        return None if value is UNSET else value

    return get
