"""The configured source that an operator's command names."""

from __future__ import annotations

from contextlib import suppress

import click

from flicker_dagster.config.explain import one_of, suggestion
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.carry_over import carry_over
from flicker_dagster.pipeline.work import SourceWork

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


def one_line(error: FlickerError, source: str) -> str:
    """An error's message with its source's name in front, once."""
    message = str(error)
    with suppress(IndexError):
        message = message.splitlines()[0]
    return message if message.startswith(f"{source}: ") else f"{source}: {message}"
