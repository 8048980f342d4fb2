"""Tables, blocks and JSON documents on a terminal or in a pipe."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from itertools import zip_longest
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flicker_dagster.printable import visible


def show_table(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]], *, empty: str) -> None:
    """Print a table, or one block per row where the terminal is too narrow for it: values stay whole, so that ids, times
    and addresses can be copied. What the vendor or SIEM wrote is made visible."""
    if not rows:
        click.echo(empty)
    elif not show_wide_table(title, columns, rows):
        show_blocks(title, columns, _cells(rows))


def show_wide_table(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> bool:
    """Print a table if the terminal is wide enough for it; is it?"""
    cells = _cells(rows)
    console = Console(highlight=False)
    widths = [max(map(cell_len, column)) for column in zip_longest(columns, *cells, fillvalue="")]
    if sum(widths) + 3 * len(widths) + 1 > console.width:
        return False
    table = Table(title=title)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)
    return True


def show_blocks(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print one block per row."""
    click.echo(title)
    for row in rows:
        show_block(columns, row)
    click.echo()


def show_block(labels: tuple[str, ...], values: tuple[str, ...]) -> None:
    """Print an empty line, and one line per value that is not empty. For a terminal, or where COLUMNS says how wide, prose is
    broken between words only; a value with line breaks keeps them."""
    console = Console()
    width = console.width if console.is_terminal or "COLUMNS" in os.environ else sys.maxsize
    indent = 2 + max(map(cell_len, labels))
    click.echo()
    for label, value in zip(labels, values, strict=False):
        lines = [part for line in map(visible, value.split("\n")) for part in _wrapped(line, max(20, width - indent))]
        for number, line in enumerate(lines if value else []):
            click.echo(f"{label if number == 0 else '':<{indent}}{line}".rstrip())


def _cells(rows: list[tuple[object, ...]]) -> list[tuple[str, ...]]:
    return [tuple("" if cell is None else visible(str(cell)) for cell in row) for row in rows]


def _wrapped(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def show_json(document: dict[str, Any]) -> None:
    """Print one JSON document, in ASCII: whatever is in it, it is data and nothing to a terminal."""
    click.echo(json.dumps(document, indent=2))
