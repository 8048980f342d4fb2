"""Parts: Python that others wrote for what YAML cannot say, named by entry points of the group `flicker.parts`. See
`docs/parts.md`."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from flicker_dagster.config.explain import one_of, suggestion

GROUP = "flicker.parts"


@cache
def registered() -> Mapping[str, EntryPoint]:
    """The parts of all installed packages by name. Nothing of them is imported."""
    return {found.name: found for found in entry_points(group=GROUP)}


def part_fault(name: str) -> str | None:
    """What is wrong with the name of a part, with what was expected."""
    known = registered()
    if name in known:
        return None
    there = one_of(known) if known else "one of an installed package, and none registers any"
    return f"found {name!r}, expected {there} (entry points of {GROUP}){suggestion(name, known)}"


def part(name: str) -> Any:
    """The part of that name. Raises ValueError where it is not installed, or cannot be imported."""
    fault = part_fault(name)
    if fault is not None:
        raise ValueError(fault)
    found = registered()[name]
    try:
        loaded = found.load()
    except Exception as error:
        raise ValueError(f"the part {name} ({found.value}) cannot be imported: {failure_of(error)}") from None
    if not callable(loaded):
        raise ValueError(f"the part {name} ({found.value}) is nothing that can be called")
    return loaded


def failure_of(error: BaseException) -> str:
    """What failed in a part, without the error's own words: nobody has masked them."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
