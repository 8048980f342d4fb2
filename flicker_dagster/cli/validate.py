"""`flicker --validate`: is the configuration right, and what did the vendor presets change?"""

from __future__ import annotations

import os

import click

from flicker_dagster.cli.leftovers import leftover_lines
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.extras import missing_extras
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import unset_variables
from flicker_dagster.config.traps import traps_of
from flicker_dagster.errors import ConfigError
from flicker_dagster.orchestration.settings import Settings


def validate_config(settings: Settings) -> int:
    """Print one line per fault, then what was overruled; 0 if the configuration can run here, else 2."""
    path = settings.config_path
    try:
        config = load_config(path)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        click.echo(f"{path}: {len(error.problems)} problem(s)", err=True)
        return 2
    for overrule in config.overruled:
        click.echo(f"{path}:{overrule.line}: {overrule.source}: {overrule.key} is overruled: {overrule.why}")
    for note in config.notes:
        click.echo(note)
    for line in _traps(config.sources):
        click.echo(line)
    for source in config.sources:
        if len(source.lanes) > 1:
            lanes = ", ".join(_lane(name, record) for name, record in source.lanes.items())
            click.echo(f"{source.line_of('destination')}: {source.name} has {len(source.lanes)} destinations: {lanes}")
    for line in leftover_lines(settings, config):
        click.echo(line)
    missing = [line for source in config.sources for line in missing_extras(source)]
    unset = unset_variables(config, os.environ)
    for line in (*missing, *unset):
        click.echo(line, err=True)
    if missing:
        click.echo(f"{path}: {len(missing)} destination(s) cannot be opened: a package is missing", err=True)
    if unset:
        click.echo(f"{path}: {len(unset)} unset reference(s); the sources that use them would fail", err=True)
    if missing or unset:
        return 2
    click.echo(f"{path}: valid, {len(config.sources)} API source(s): {', '.join(s.name for s in config.sources)}")
    return 0


def _traps(sources: list[SourceConfig]) -> list[str]:
    """What is known to go wrong with sources by hand, each thing once for all streams of a source."""
    lines = [
        f"{source.line_of(key)}: {source.source_name}: {key}: {words}"
        for source in sources
        for key, words in traps_of(source)
    ]
    return list(dict.fromkeys(lines))


def _lane(name: str, record: DestinationRecord) -> str:
    """`lake (s3)`, and whether anything waits for it."""
    about = [] if name == record.type else [record.type]
    about += [] if record.required else ["best effort"]
    return f"{name} ({', '.join(about)})" if about else name
