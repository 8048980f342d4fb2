"""`flicker forget NAME`: drop the state of a source that is no longer configured, or `SOURCE@LANE` of a destination."""

from __future__ import annotations

import click

from flicker_dagster.config.explain import one_of
from flicker_dagster.config.load import load_config
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.lane_places import Lanes, storages_in_use
from flicker_dagster.state.leftovers import find_left_lanes, forget, forget_lane, is_kept, kept_of
from flicker_dagster.state.names import file_safe


def forget_state(settings: Settings, name: str, *, ask: bool) -> None:
    """Ask, unless told not to, then drop everything. Raises FlickerError for what is configured, StateError."""
    config = load_config(settings.config_path)
    source, at, lane = name.rpartition("@")
    known = [each for each in config.sources if each.name == source]
    if at and (known or lane in settings.layout().lane_book(source).read()):
        _forget_destination(settings, source, lane, lanes=known[0].lanes if known else {}, ask=ask)
    else:
        _forget_source(settings, config, name, ask=ask)


def _forget_destination(settings: Settings, source: str, lane: str, *, lanes: Lanes, ask: bool) -> None:
    name, layout = f"{source}@{lane}", settings.layout()
    if lane in lanes:
        raise FlickerError(
            f"{name} is configured in {settings.config_path}: take it out of the source's destination there first"
        )
    left = find_left_lanes(layout, in_use={source: lambda: storages_in_use(source, lanes, layout)})
    kept = next((each for each in left if each.lane == lane), None)
    if kept is None:
        others = f"; {source} has {one_of(list(lanes))}" if set(lanes) - {""} else ""
        click.echo(f"{name}: nothing is kept of it{others}")
        return
    click.echo(f"{name}: {kept.dead_letters} dead letters, and which events were delivered to it")
    if ask:
        click.confirm("Drop all of it for good?", abort=True)
    forget_lane(layout, source, lane)
    click.echo(f"{name}: forgotten")


def _forget_source(settings: Settings, config: FlickerConfig, name: str, *, ask: bool) -> None:
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
