"""The ways in which rivals lose, repeat or stall, and the mark that ties a test to one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Row:
    """One documented failure of a rival. `key` is e.g. `flicker-17`; `fault` says in our words what breaks them."""

    key: str
    fault: str
    tests: list[str] = field(default_factory=list)
    behaviour: str = ""


#: Filled by the modules of this folder, one `ROWS` list each, in the reference sheets' order.
ALL: dict[str, Row] = {}


def rows(prefix: str, faults: dict[int, str]) -> None:
    """Announce the rows of one sheet, by number."""
    for number, fault in faults.items():
        ALL[f"{prefix}-{number}"] = Row(f"{prefix}-{number}", fault)


def cases(faults: dict[str, str]) -> None:
    """Announce field reports about Flicker itself, by name: `case-<name>`."""
    for name, fault in faults.items():
        ALL[f"case-{name}"] = Row(f"case-{name}", fault)


def row(*keys: str, behaviour: str) -> Callable[[Any], Any]:
    """Mark a test as the proof for rows; `behaviour` says what Flicker does instead. Raises KeyError for an unknown row."""

    def mark(test: Any) -> Any:
        for key in keys:
            found = ALL[key]
            found.tests.append(f"{test.__module__.rpartition('.')[2]}.{test.__name__}")
            found.behaviour = found.behaviour or behaviour
        return pytest.mark.conformance(test)

    return mark
