"""Pieces of the pages that are made from the records."""

from __future__ import annotations

import re

from flicker_dagster.config.destination_keys import KeyGroup


def page_of(*parts: str) -> str:
    """A page of these parts, the first its title; empty ones are left out."""
    made = "<!-- made from the records by `make reference` -->"
    return "\n\n".join((parts[0], made, *(part for part in parts[1:] if part))) + "\n"


def table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *[[_cell(value) for value in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def key_table(group: KeyGroup) -> str:
    """The keys of a group, with defaults and meanings."""
    return table(
        ["key", "default", "meaning"], [[f"`{key.path}`", _default(key.default), key.meaning] for key in group.keys]
    )


def code(words: str) -> str:
    return f"``{words}``" if "`" in words else f"`{words}`"


def _default(default: str) -> str:
    return default if default in ("", "required") else f"`{default}`"


def _cell(words: str) -> str:
    """Bars end a cell, in code as well; angle brackets outside of code are HTML."""
    words = words.replace("|", "\\|")
    return "".join(
        part if number % 2 else re.sub("<", "&lt;", part) for number, part in enumerate(re.split(r"(`[^`]*`)", words))
    )
