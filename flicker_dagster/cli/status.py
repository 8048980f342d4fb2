"""`flicker status` and `flicker sources`: every source on one page."""

from __future__ import annotations

from contextlib import ExitStack

import click
import dagster as dg

from flicker_dagster.cli.health import dagster_home
from flicker_dagster.cli.leftovers import leftover_lines
from flicker_dagster.cli.selection import lag, show_table, span
from flicker_dagster.config.load import load_config
from flicker_dagster.config.masking import shown_endpoint
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.load_applied import load_or_last_good
from flicker_dagster.orchestration.sensor import interval_s
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import verified_keys
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.pipeline.work import SourceWork


def show_status(settings: Settings) -> int:
    """Print where each source stands; 1 if the state of one cannot be read, or if the file has a fault and the last
    configuration that loaded is in force. Raises ConfigError."""
    config, fault = load_or_last_good(settings)
    failed = fault is not None
    rows: list[tuple[object, ...]] = []
    with ExitStack() as stack:
        home = dagster_home(settings)
        instance = None if home is None else stack.enter_context(dg.DagsterInstance.from_config(home))
        for source in config.sources:
            try:
                rows.append(_status(source, settings.work(source), instance))
            except FlickerError as error:
                failed = True
                rows.append((source.name, f"cannot be read: {error}"))
    columns = ("source", "position", "lag", "last run", "waiting", "dead letters", "verified windows")
    show_table("Status", columns, rows, empty="no sources")
    for line in leftover_lines(settings, config):
        click.echo(line)
    if fault is not None:
        click.echo(fault)
    if instance is None:
        click.echo("Dagster has not run here yet, so there are no runs to tell of (see --work-dir).")
    return 1 if failed else 0


def show_sources(settings: Settings) -> None:
    """Print what is configured and which of the user's keys the presets overruled. Raises ConfigError."""
    config = load_config(settings.config_path)
    rows: list[tuple[object, ...]] = []
    for source in config.sources:
        overruled = [overrule.key for overrule in config.overruled if overrule.source == source.name]
        how = f"live, every {interval_s(source)} s" if source.live else f"each {source.window.size} once it has closed"
        vendor = source.vendor or "generic"
        rows.append(
            (
                source.name,
                vendor,
                shown_endpoint(source.endpoint),
                how,
                shown_endpoint(source.destination.endpoint),
                ", ".join(overruled),
            )
        )
    columns = ("source", "vendor", "endpoint", "collected", "destination", "overruled by the preset")
    show_table("Sources", columns, rows, empty="no sources")
    if config.overruled:
        click.echo("`flicker --validate` says why.")


def _status(source: SourceConfig, work: SourceWork, instance: dg.DagsterInstance | None) -> tuple[object, ...]:
    position = work.registry.position(source.name)
    stands = None if position is None else position.last_timestamp
    return (
        source.name,
        stands or "nothing collected yet",
        lag(stands, work.now_ms()),
        "" if instance is None else _last_run(work, instance),
        waiting_events(work),
        work.dead_letters.count(),
        "" if instance is None else _verified(work, instance),
    )


def _last_run(work: SourceWork, instance: dg.DagsterInstance) -> str:
    tags = {**names.source_tags(work.source), names.STATE_TAG: work.state_id}
    found = instance.get_run_records(filters=dg.RunsFilter(tags=tags), limit=1)
    if not found:
        return "none yet"
    run = found[0].dagster_run
    ago = span(work.now_ms() - int(found[0].update_timestamp.timestamp() * 1000))
    mode = run.tags.get(names.MODE_TAG) or ("backfill" if names.PARTITION_TAG in run.tags else "by hand")
    error = run.tags.get(names.ERROR_TAG)
    why = f": {error}" if error and run.status == dg.DagsterRunStatus.FAILURE else ""
    return f"{mode} {run.status.value.lower()} {ago} ago{why}"


def _verified(work: SourceWork, instance: dg.DagsterInstance) -> str:
    keys = verified_keys(instance, work.source, work.state_id)
    return f"{len(keys)}, newest {max(keys)}" if keys else "none yet"
