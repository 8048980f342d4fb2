"""Texts of the configuration with parts of an event in them: `{source}`, `{vendor}`, `{event.path}`, or
`{event.path|event.other}` for the first path where anything lies."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

EventTemplate = Annotated[
    str,
    Field(
        description="text; may hold {source}, {vendor} and {event.path}, or {event.path|event.other} for the first found"
    ),
]

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
NAMES = ("source", "vendor")
_EVENT = "event."


def paths_of(inner: str) -> list[str] | None:
    """The paths into an event that a placeholder names, or None where it is no such placeholder."""
    parts = inner.split("|")
    if not all(part.startswith(_EVENT) and len(part) > len(_EVENT) for part in parts):
        return None
    return [part[len(_EVENT) :] for part in parts]


def template_fault(text: str) -> str | None:
    """What is wrong with a text."""
    for inner in PLACEHOLDER.findall(text):
        if inner not in NAMES and paths_of(inner) is None:
            return f"{{{inner}}} stands for nothing, expected {{source}}, {{vendor}} or {{event.path|event.other}}"
    return None
