"""Configured paths into JSON: `a.b` is the key `b` of the object `a`, and just as well the key `a.b`."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

Parts = tuple[str, ...]

_DOT = re.compile(r"(?<!\\)\.")

#: Paths with more dots are read literally as a whole, or at every dot.
_MOST_DOTS = 4


def split_path(path: str) -> Parts:
    r"""`a.b` → ("a", "b"); `\.` is a dot that belongs to the key. An empty path is the root."""
    return tuple(part.replace("\\.", ".") for part in _DOT.split(path)) if path else ()


def readings(path: str) -> list[Parts]:
    r"""Every way to read a path, the most literal first: `@odata.nextLink` may be one key. `\.` is never a path's dot."""
    parts = split_path(path)
    dots = len(parts) - 1
    if dots < 1:
        return [parts]
    if dots > _MOST_DOTS:
        return [(".".join(parts),), parts]
    found: list[Parts] = []
    for cuts in product((False, True), repeat=dots):
        keys = [parts[0]]
        for cut, part in zip(cuts, parts[1:]):
            if cut:
                keys.append(part)
            else:
                keys[-1] += f".{part}"
        found.append(tuple(keys))
    return sorted(found, key=len)


def lookup(value: Any, parts: Parts) -> Any:
    """What lies at a path in decoded JSON, or None where the path leads nowhere."""
    for part in parts:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def lookup_any(value: Any, ways: list[Parts]) -> Any:
    """What lies at the first of several paths where anything lies; None where nothing does."""
    found = (lookup(value, parts) for parts in ways)
    return next((each for each in found if each is not None), None)
