"""The message of an event: what lies at `message_field`, read without taking the rest of the event apart."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from flicker_dagster.json_paths import Parts, lookup_any, readings
from flicker_dagster.json_scan import value_at
from flicker_dagster.json_text import read_json


class MessageField:
    """Reads one path of any event, also of one that no strict decoder reads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._ways = readings(path)
        self._decode = msgspec.json.Decoder(_struct_of(self._ways)).decode if path else None

    def of(self, event: bytes) -> Any:
        """The value at the path, whatever it is, or None."""
        if self._decode is None:
            return self._carefully(event)
        try:
            found = self._decode(event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._carefully(event)
        return next((value for parts in self._ways if (value := _walk(found, parts)) is not None), None)

    def text_of(self, event: bytes) -> str | None:
        """The value at the path as text: a string as it is, anything else as JSON. None where nothing lies there."""
        value = self.of(event)
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def _carefully(self, event: bytes) -> Any:
        try:
            return lookup_any(read_json(event), self._ways)
        except (ValueError, RecursionError):
            found = (value_at(event, parts) for parts in self._ways)
            return next((each for each in found if each is not None), None)


def _struct_of(ways: list[Parts]) -> type[msgspec.Struct]:
    """A type with these paths only, so that a decoder passes over everything else. No path is the beginning of another."""
    below: dict[str, list[Parts]] = {}
    for head, *rest in ways:
        below.setdefault(head, []).append(tuple(rest))
    fields = {
        f"field_{index}": (head, Any if rests == [()] else _struct_of(rests) | None)
        for index, (head, rests) in enumerate(below.items())
    }
    return msgspec.defstruct(
        "Found",
        [(name, kind, None) for name, (_, kind) in fields.items()],
        rename={name: head for name, (head, _) in fields.items()},
        namespace={"names": {head: name for name, (head, _) in fields.items()}},
        gc=False,
    )


def _walk(found: Any, parts: Parts) -> Any:
    for part in parts:
        if found is None:
            return None
        found = getattr(found, found.names[part])
    return found
