"""Dotted paths into JSON, and the msgspec types that decode nothing but what lies at the end of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from flicker_dagster.errors import FlickerError

_DOT = re.compile(r"(?<!\\)\.")


def split_path(path: str) -> tuple[str, ...]:
    r"""`a.b` → ("a", "b"); `\.` is a dot that belongs to the key. An empty path is the root."""
    return tuple(part.replace("\\.", ".") for part in _DOT.split(path)) if path else ()


def lookup(value: Any, parts: tuple[str, ...]) -> Any:
    """What lies at a path in decoded JSON, or None where the path leads nowhere."""
    for part in parts:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


class Reader:
    """A struct type for a set of paths, and a getter for each of them.

    `leaves` maps a path to the type wanted at its end. Raises FlickerError where one path ends inside another.
    """

    def __init__(self, leaves: dict[tuple[str, ...], Any], name: str) -> None:
        tree: dict[str, Any] = {}
        for parts, leaf in leaves.items():
            node = tree
            for part in parts[:-1]:
                node = node.setdefault(part, {})
                if not isinstance(node, dict):
                    raise FlickerError(f"field {'.'.join(parts)!r} lies inside another configured field")
            if parts[-1] in node:
                raise FlickerError(f"field {'.'.join(parts)!r} is configured as a value and as its container")
            node[parts[-1]] = leaf
        self._names: dict[tuple[str, ...], list[str]] = {}
        self.type = self._struct(tree, name, ())
        self.getters = {parts: _getter(self._names[parts]) for parts in leaves}
        self._quick = {parts: attrgetter(".".join(self._names[parts])) for parts in leaves}

    def column(self, parts: tuple[str, ...], rows: Sequence[Any]) -> list[Any]:
        """The values at a path of many decoded structs; None where it is absent or null. A loop in C where it can be."""
        try:
            values = list(map(self._quick[parts], rows))
        except AttributeError:  # what should hold the value is null or absent in some row
            return [self.getters[parts](row) for row in rows]
        return [None if value is UNSET else value for value in values] if UNSET in values else values

    def holds(self, parts: tuple[str, ...], value: Any) -> bool:
        """Is there anything at a path of a decoded struct, if only null?"""
        for name in self._names[parts]:
            if value is None or value is UNSET:
                return False
            value = getattr(value, name)
        return value is not UNSET

    def _struct(self, tree: dict[str, Any], name: str, above: tuple[str, ...]) -> type[msgspec.Struct]:
        fields, rename = [], {}
        for number, (key, leaf) in enumerate(tree.items()):
            field = f"f{number}"
            rename[field] = key
            parts = (*above, key)
            self._names[parts] = [*self._names.get(above, []), field]
            inner = self._struct(leaf, f"{name}_{number}", parts) if isinstance(leaf, dict) else leaf
            fields.append((field, inner | None | UnsetType if inner is not Any else Any, UNSET))
        return msgspec.defstruct(name, fields, rename=rename, gc=False)


def _getter(names: list[str]) -> Callable[[Any], Any]:
    """From a decoded struct to the value at a path; None where it is absent or null."""

    def get(value: Any) -> Any:
        for name in names:
            if value is None or value is UNSET:
                return None
            value = getattr(value, name)
        return None if value is UNSET else value

    return get
