"""What the operator's commands share: the configured source by its name, tables, times as people read them."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flicker_dagster.config.explain import one_of, suggestion
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.carry_over import carry_over
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.printable import visible
from flicker_dagster.times import parse_time_ms

#: How long a command waits for a run in flight to leave the source.
LOCK_WAIT_S = 60.0

#: How many names a mistaken one is told.
SHOWN_NAMES = 10


def sources_named(settings: Settings, name: str | None) -> list[SourceConfig]:
    """The source of that name, or all. Raises ConfigError, and UsageError for a name that is not configured."""
    sources = load_config(settings.config_path).sources
    if name is None:
        return list(sources)
    found = [source for source in sources if source.name == name]
    if not found:
        names = [source.name for source in sources]
        streams = [source.name for source in sources if source.source_name == name]
        if streams:
            raise click.UsageError(
                f"{name!r} has streams with a position each; expected {one_of(streams[:SHOWN_NAMES])}"
            )
        meant = suggestion(name, names) or f"; expected {one_of(names[:SHOWN_NAMES])}"
        raise click.UsageError(f"no source {name!r} in {settings.config_path}{meant}")
    return found


def open_work(settings: Settings, name: str) -> SourceWork:
    """A configured source, ready for work; to be closed. Raises ConfigError, UsageError, StateError."""
    work = settings.work(sources_named(settings, name)[0])
    carry_over(work)
    return work


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


def lag_ms(last_timestamp: str | None, now_ms: int) -> int | None:
    """How far a position lies behind now; None where nothing was collected."""
    at_ms = None if last_timestamp is None else parse_time_ms(last_timestamp)
    return None if at_ms is None else max(0, now_ms - at_ms)


def lag(last_timestamp: str | None, now_ms: int) -> str:
    """How far a position lies behind now, in the two largest units: `2 h 5 min`."""
    behind_ms = lag_ms(last_timestamp, now_ms)
    return "" if behind_ms is None else span(behind_ms)


def span(ms: int) -> str:
    """A span of time in words, to the second."""
    seconds = max(0, ms // 1000)
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"


def one_line(error: FlickerError, source: str) -> str:
    """An error's message with its source's name in front, once."""
    message = str(error)
    with suppress(IndexError):
        message = message.splitlines()[0]
    return message if message.startswith(f"{source}: ") else f"{source}: {message}"
