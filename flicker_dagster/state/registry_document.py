"""The registry's JSON: reading it strictly, changing one source's entry, keeping everything that is not ours."""

from __future__ import annotations

import json
from typing import Any

from flicker_dagster.errors import RegistryUnreadable, StateError
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import Position

#: The version the original Flicker writes, and the only one.
VERSION = 1


class RegistryDocument:
    """A parsed registry: `{"version": 1, "api_sources": {name: {"last_timestamp", "cursor"}}}`.

    Keys that we do not know (`files` and `containers` of the original Flicker, remarks of an operator) are kept at
    every level, in their order. Every fault raises RegistryUnreadable naming `where`.
    """

    def __init__(self, where: str, root: dict[str, Any]) -> None:
        self._where = where
        self._root = root

    @classmethod
    def empty(cls, where: str) -> RegistryDocument:
        return cls(where, {"version": VERSION, "api_sources": {}})

    @classmethod
    def parse(cls, where: str, data: bytes) -> RegistryDocument:
        if not data.strip():
            raise _unreadable(where, "it is empty")
        try:
            root = json.loads(data.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise _unreadable(where, f"it is not JSON, perhaps cut short ({error})") from error
        if not isinstance(root, dict):
            raise _unreadable(where, "it is not a JSON object")
        if root and not root.keys() & {"version", "api_sources"}:
            raise _unreadable(where, "it is the JSON of something else, with neither version nor api_sources")
        version = root.get("version", VERSION)
        if type(version) is not int or version != VERSION:
            raise _unreadable(where, f"its version is {version!r}, and only version {VERSION} is known")
        if not isinstance(root.setdefault("api_sources", {}), dict):
            raise _unreadable(where, "its api_sources is not an object")
        return cls(where, root)

    @property
    def sources(self) -> list[str]:
        return list(self._root["api_sources"])

    def position(self, name: str) -> Position | None:
        """Where a source stands; None if it has no entry. Raises RegistryUnreadable if that entry is faulty, whatever
        the others are: a broken entry stops its own source only."""
        entry = self._root["api_sources"].get(name)
        if entry is None:
            return None
        if not isinstance(entry, dict):
            raise _unreadable(self._where, f"the entry of {name} is not an object")
        last_timestamp, cursor = entry.get("last_timestamp"), entry.get("cursor")
        if last_timestamp is not None and not _is_time(last_timestamp):
            why = f"last_timestamp of {name} is no RFC 3339 time between 2000 and 2100: {last_timestamp!r}"
            raise _unreadable(self._where, why)
        if cursor is not None and not isinstance(cursor, str):
            raise _unreadable(self._where, f"cursor of {name} is neither text nor null")
        return Position(last_timestamp=last_timestamp, cursor=cursor)

    def put(self, name: str, position: Position) -> None:
        """Set a source's entry. Raises StateError for a position that could not be read back."""
        if position.last_timestamp is not None and not _is_time(position.last_timestamp):
            raise StateError(
                f"{name}: {position.last_timestamp!r} is no RFC 3339 time between 2000 and 2100; the position was not "
                "saved, correct it where it was edited (sensor cursor or start_from)"
            )
        entries = self._root["api_sources"]
        ours = {"last_timestamp": position.last_timestamp, "cursor": position.cursor}
        entries[name] = {**(entries.get(name) or {}), **ours}

    def remove(self, name: str) -> bool:
        """Take a source's entry out; False if there was none."""
        return self._root["api_sources"].pop(name, None) is not None

    def encode(self) -> bytes:
        return json.dumps(self._root, indent=2, ensure_ascii=False).encode() + b"\n"


def standing(current: Position | None, new: Position, *, seen: Position | None) -> Position:
    """Which of two positions stands: `new` if nobody moved the entry since `seen`, else the later of the two.

    A tie is left to what is there: its writer committed first.
    """
    if current is None or current == seen:
        return new
    return new if _time_ms(new) > _time_ms(current) else current


def _is_time(value: object) -> bool:
    return isinstance(value, str) and parse_time_ms(value) is not None


def _time_ms(position: Position) -> float:
    if position.last_timestamp is None:
        return float("-inf")
    time_ms = parse_time_ms(position.last_timestamp)
    return float("-inf") if time_ms is None else time_ms


def _unreadable(where: str, why: str) -> RegistryUnreadable:
    return RegistryUnreadable(
        f"the registry {where} cannot be used: {why}. Collection stops rather than start fresh: repair it, restore an "
        "earlier version, or remove it: every source then goes on from its last position in positions/"
    )
