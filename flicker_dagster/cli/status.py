"""`flicker status` and `flicker sources`: every source on one page."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click
import dagster as dg

from flicker_dagster.cli.health import dagster_home
from flicker_dagster.cli.lane_status import COLUMNS as LANE_COLUMNS
from flicker_dagster.cli.lane_status import statuses_of
from flicker_dagster.cli.leftovers import leftover_lines
from flicker_dagster.cli.quota_status import COLUMNS as QUOTA_COLUMNS
from flicker_dagster.cli.quota_status import quotas_of
from flicker_dagster.cli.source_status import LastRun, SourceStatus
from flicker_dagster.cli.status_table import show_statuses
from flicker_dagster.cli.tables import show_json, show_table
from flicker_dagster.config.load import load_config
from flicker_dagster.config.masking import shown_destinations, shown_endpoint
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.load_applied import load_or_last_good
from flicker_dagster.orchestration.sensor import interval_s
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import verified_keys
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.printable import visible


def show_status(settings: Settings, *, as_json: bool = False) -> int:
    """Print where each source stands; 1 if the state of one cannot be read, or if the file has a fault and the last
    configuration that loaded is in force. Raises ConfigError."""
    config, fault = load_or_last_good(settings)
    with ExitStack() as stack:
        home = dagster_home(settings)
        instance = None if home is None else stack.enter_context(dg.DagsterInstance.from_config(home))
        found = [_status(source, settings, instance) for source in config.sources]
    quotas = quotas_of([settings.work(source) for source in config.sources])
    dagster_ran, leftovers = instance is not None, leftover_lines(settings, config)
    edits = settings.layout().refused_edits().lines()
    if as_json:
        show_json(
            {
                "sources": [status.as_json() for status in found],
                "quotas": [quota.as_json() for quota in quotas],
                "dagster_ran": dagster_ran,
                "configuration_fault": fault,
                "leftovers": leftovers,
                "refused_edits": edits,
            }
        )
    else:
        show_statuses(found, dagster_ran=dagster_ran)
        lanes = [lane for status in found for lane in status.lanes_to_tell()]
        if lanes:
            show_table("Destinations", LANE_COLUMNS, [lane.row() for lane in lanes], empty="")
        if quotas:
            show_table("Quotas", QUOTA_COLUMNS, [quota.row() for quota in quotas], empty="")
        troubles = [visible(why) for lane in lanes if (why := lane.trouble())]
        for line in [*troubles, *leftovers, *edits]:
            click.echo(line)
        if fault is not None:
            click.echo(fault)
        if not dagster_ran:
            click.echo("Dagster has not run here yet, so there are no runs to tell of (see --work-dir).")
    return 1 if fault is not None or any(status.error is not None for status in found) else 0


def show_sources(settings: Settings, *, as_json: bool = False) -> None:
    """Print what is configured and which of the user's keys the presets overruled. Raises ConfigError."""
    config = load_config(settings.config_path)
    sources = [_configured(source, config) for source in config.sources]
    if as_json:
        show_json({"configuration": config.path, "sources": sources})
        return
    rows: list[tuple[object, ...]] = [
        (
            found["source"],
            found["vendor"],
            found["endpoint"],
            f"live, every {found['poll_interval_ms'] // 1000} s"
            if source.live
            else f"each {source.window.size} once it has closed",
            found["destination"],
            ", ".join(overruled["key"] for overruled in found["overruled"]),
        )
        for source, found in zip(config.sources, sources, strict=True)
    ]
    columns = ("source", "vendor", "endpoint", "collected", "destination", "overruled by the preset")
    show_table("Sources", columns, rows, empty="no sources")
    if config.overruled:
        click.echo("`flicker --validate` says why.")


def _configured(source: SourceConfig, config: FlickerConfig) -> dict[str, Any]:
    """A source as written: references stay references, so that no secret is shown."""
    return {
        "source": source.name,
        "vendor": source.vendor or "generic",
        "endpoint": shown_endpoint(source.endpoint),
        "live": source.live,
        "poll_interval_ms": interval_s(source.polling_frequency_ms) * 1000 if source.live else None,
        "window": source.window.size,
        "destination": ", ".join(shown_destinations(source.lanes.values())),
        "overruled": [
            {"key": overrule.key, "line": overrule.line, "why": overrule.why}
            for overrule in config.overruled
            if overrule.source == source.name
        ],
    }


def _status(source: SourceConfig, settings: Settings, instance: dg.DagsterInstance | None) -> SourceStatus:
    try:
        work = settings.work(source)
        return SourceStatus(
            source.name,
            source.source_name,
            source.stream,
            work.registry.position(source.name),
            work.now_ms(),
            None if instance is None else _last_run(work, instance),
            waiting_events(work),
            statuses_of(work),
            None if instance is None else sorted(verified_keys(instance, work)),
        )
    except FlickerError as error:
        return SourceStatus(source.name, source.source_name, source.stream, error=str(error))


def _last_run(work: SourceWork, instance: dg.DagsterInstance) -> LastRun | None:
    tags = {**names.source_tags(work.source.full_name), names.STATE_TAG: work.state_id}
    found = instance.get_run_records(filters=dg.RunsFilter(tags=tags), limit=1)
    if not found:
        return None
    run = found[0].dagster_run
    return LastRun(
        run.run_id,
        run.tags.get(names.MODE_TAG) or ("backfill" if names.PARTITION_TAG in run.tags else "by hand"),
        run.status.value.lower(),
        int(found[0].update_timestamp.timestamp() * 1000),
        run.tags.get(names.ERROR_TAG) if run.status == dg.DagsterRunStatus.FAILURE else None,
    )
