"""`flicker forget NAME`: drop the state of a source that is no longer configured."""

from __future__ import annotations

import click

from flicker_dagster.config.load import load_config
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.state.leftovers import forget, is_kept, kept_of
from flicker_dagster.state.names import file_safe


def forget_source(settings: Settings, name: str, *, ask: bool) -> None:
    """Ask, unless told not to, then drop everything. Raises FlickerError for a configured source, StateError."""
    config = load_config(settings.config_path)
    for source in config.sources:
        if file_safe(source.name) == file_safe(name):
            raise FlickerError(
                f"{name} is configured in {settings.config_path}: take it out there first, or move its position with "
                f"`flicker position set {name} …`"
            )
        if source.renamed_from == name:
            raise FlickerError(
                f"{name}: its state goes on under {source.name} (renamed_from in {settings.config_path})"
            )
    layout = settings.layout()
    if not is_kept(layout, name):
        click.echo(f"{name}: nothing is kept of it")
        return
    kept = kept_of(layout, name)
    lost = f"{kept.waiting_events} events that wait for the SIEM, {kept.dead_letters} dead letters"
    click.echo(f"{name}: {lost}, position {kept.position or 'unknown'}, and which events were delivered")
    if kept.trouble is not None:
        click.echo(kept.trouble)
    if ask:
        click.confirm("Drop all of it for good?", abort=True)
    forget(layout, name)
    click.echo(f"{name}: forgotten")
