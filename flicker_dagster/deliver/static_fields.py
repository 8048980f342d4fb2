"""Fields of fixed text that every event gets, written into its own bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flicker_dagster.deliver.field_rules import FieldEditor, Tally
from flicker_dagster.json_paths import Parts, split_path
from flicker_dagster.json_scan import OBJECT, find, past_space


class StaticFields:
    """Texts by path. What an event holds at one of the paths gives way, so that no vendor can say it in our place."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = [(split_path(path), json.dumps(text).encode()) for path, text in sorted(texts.items())]
        self._others = FieldEditor(drop=texts)

    def add(self, event: bytes) -> bytes:
        """The event with the fields at its end, or at the end of the objects they belong to. Raises Unfit."""
        event = self._others.apply(event, Tally())
        for parts, text in self._texts:
            event = _with_member(event, parts, text)
        return event


def _with_member(event: bytes, parts: Parts, text: bytes) -> bytes:
    """The event with a member at a path. Where something else than an object is in the way, the path is one key with
    dots, which is another spelling of it."""
    for taken in range(len(parts) - 1, 0, -1):
        found = find(event, parts[:taken])
        if found is not None and event[found[0]] == OBJECT:
            start, end = found
            inner = _appended(event[start:end], _member(parts[taken:], text))
            return event[:start] + inner + event[end:]
        if found is not None:
            return _appended(event, _member((".".join(parts),), text))
    return _appended(event, _member(parts, text))


def _member(parts: Parts, text: bytes) -> bytes:
    """`"a":{"b":"text"}`"""
    names = [json.dumps(part).encode() for part in parts]
    return b":{".join(names) + b":" + text + b"}" * (len(names) - 1)


def _appended(container: bytes, member: bytes) -> bytes:
    """The object with one more member at its end."""
    behind = container.rindex(b"}")
    start = past_space(container, 0) + 1
    empty = past_space(container, start) == behind
    return container[:behind].rstrip(b" \t\r\n,") + (b"" if empty else b",") + member + container[behind:]
