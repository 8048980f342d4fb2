"""What the operator's commands share: the configured source by its name, tables, times as people read them."""

from __future__ import annotations

from contextlib import suppress

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flicker_dagster.config.explain import suggestion
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


def sources_named(settings: Settings, name: str | None) -> list[SourceConfig]:
    """The source of that name, or all. Raises ConfigError, and UsageError for a name that is not configured."""
    sources = load_config(settings.config_path).sources
    if name is None:
        return list(sources)
    found = [source for source in sources if source.name == name]
    if not found:
        names = [source.name for source in sources]
        raise click.UsageError(f"no source {name!r} in {settings.config_path}{suggestion(name, names)}")
    return found


def open_work(settings: Settings, name: str) -> SourceWork:
    """A configured source, ready for work; to be closed. Raises ConfigError, UsageError, StateError."""
    work = settings.work(sources_named(settings, name)[0])
    carry_over(work)
    return work


def show_table(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]], *, empty: str) -> None:
    """Print a table; cells that do not fit are folded, so that ids can be copied."""
    if not rows:
        click.echo(empty)
        return
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[Text("" if cell is None else visible(str(cell))) for cell in row])
    Console().print(table)


def lag(last_timestamp: str | None, now_ms: int) -> str:
    """How far a position lies behind now, in the two largest units: `2 h 5 min`."""
    at_ms = None if last_timestamp is None else parse_time_ms(last_timestamp)
    return "" if at_ms is None else span(now_ms - at_ms)


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
