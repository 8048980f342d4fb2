"""Facts put where a schema wants them: what both schemas' tables have in common."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from flicker_dagster.json_text import as_text

Document = dict[str, Any]

#: The way to a place: names of members, each with whether it is a list of one.
Path = tuple[tuple[str, bool], ...]


def path_of(at: str) -> Path:
    """Of `actor.user.name` or `resources[].uid`."""
    return tuple((part.removesuffix("[]"), part.endswith("[]")) for part in at.split("."))


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one fact goes: in these classes only, and from this version on; in all where nothing is said."""

    slot: str
    to: str
    since: str | None = None
    classes: list[str] | None = None


class Placing:
    """Puts facts at the places of a list of attributes, and takes objects away that say nothing."""

    def __init__(self, attributes: Iterable[Attribute], needs: Mapping[str, list[str]]) -> None:
        self._places = [(each.slot, path_of(each.to)) for each in attributes]
        # The deepest first, so that an object may be left without anything by what it held.
        self._needs = [(path_of(at), keys) for at, keys in sorted(needs.items(), key=lambda need: -need[0].count("."))]

    def put(self, document: Document, slots: Mapping[str, Any]) -> set[str]:
        """Fill in the document; gives the slots that are told by it."""
        told: dict[Path, str] = {}
        for slot, parts in self._places:
            value = slots.get(slot)
            if value is not None:
                put_at(document, parts, value)
                told[parts] = slot
        for at, keys in self._needs:
            found = holder_of(document, at)
            if found is not None and not any(key in found for key in keys):
                remove(document, at)
                told = {parts: slot for parts, slot in told.items() if parts[: len(at)] != at}
        return set(told.values())


def put_at(document: Document, path: Path, value: Any) -> None:
    """Set what lies at a path."""
    holder: Any = document
    for name, is_list in path[:-1]:
        holder = holder.setdefault(name, [{}])[0] if is_list else holder.setdefault(name, {})
    name, is_list = path[-1]
    holder[name] = [value] if is_list else value


def holder_of(document: Document, path: Path) -> Document | None:
    """The object at a path, or None."""
    found: Any = document
    for name, is_list in path:
        found = found.get(name)
        if is_list and found:
            found = found[0]
        if not isinstance(found, dict):
            return None
    return found


def remove(document: Document, path: Path) -> None:
    """Take away what lies at a path, and the objects that are empty then."""
    (name, _), *rest = path
    if rest:
        remove(document[name], tuple(rest))
    if not rest or not document[name]:
        del document[name]


def original_of(event: bytes) -> str:
    """The event as text. Bytes that are no UTF-8 become lone surrogates, from which they can be had back."""
    return as_text(event)


def written(document: Document, spare: str) -> bytes:
    """A document as JSON. `spare` is left out where it is nested too deeply to be written."""
    try:
        return _written(document)
    except RecursionError:
        return _written({key: value for key, value in document.items() if key != spare})


def _written(document: Document) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
