"""The factory: from a configured source to its Dagster objects. One place says what a source looks like in Dagster."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import dagster as dg

from flicker_dagster.config.groups import SweepConfig, WindowConfig
from flicker_dagster.config.masking import shown_destinations, shown_endpoint
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import preset_of
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.checks import check_specs
from flicker_dagster.orchestration.maintenance import build_maintenance
from flicker_dagster.orchestration.ops import build_deliver, build_fetch
from flicker_dagster.orchestration.schedule import build_sweep_schedule
from flicker_dagster.orchestration.sensor import build_live_sensor, interval_s
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.grid import grid_begin_ms
from flicker_dagster.pipeline.windows import SIZES_MS

#: Windows per run when a range is backfilled: large enough to be cheap, small enough to fail in parts.
WINDOWS_PER_RUN = 24

#: The asset is stale when not even a sweep has finished for so many windows.
STALE_WINDOWS = 3


@dataclass(frozen=True)
class SourceDefinitions:
    """What the factory builds for one source (DESIGN, section 3)."""

    asset: dg.AssetsDefinition
    job: dg.UnresolvedAssetJobDefinition
    sensor: dg.SensorDefinition | None
    schedule: dg.ScheduleDefinition


def build_definitions(config: FlickerConfig, settings: Settings | None = None) -> dg.Definitions:
    """Every source of a configuration, and the maintenance, as one `Definitions`; without settings, those of the
    environment.

    It merges with any others: executors stand on our jobs only, nothing takes a resource's name, and two configurations
    differ in the names of their sources or in their `namespace`.
    """
    settings = settings or dataclasses.replace(Settings.from_env(), config_path=config.path)
    built = [build_source(source, settings) for source in config.sources]
    maintenance, daily = build_maintenance(config, settings)
    return dg.Definitions(
        assets=[part.asset for part in built],
        jobs=[*(part.job for part in built), maintenance],
        sensors=[part.sensor for part in built if part.sensor is not None],
        schedules=[*(part.schedule for part in built), daily],
    )


def build_source(source: SourceConfig, settings: Settings) -> SourceDefinitions:
    """Asset, job, sensor and schedule of one source. `live: false` leaves the tail out."""
    grid_ms = grid_begin_ms(source.grid, settings.layout(), now_ms=int(time.time() * 1000))
    asset = build_asset(source, settings, grid_ms)
    job = dg.define_asset_job(
        names.job_name(source.full_name),
        selection=dg.AssetSelection.assets(names.asset_key(source.full_name)),
        executor_def=dg.in_process_executor,
        tags=names.source_tags(source.full_name),
        description=f"Collects {source.name}: a live poll without a partition, a window with one.",
    )
    sensor = build_live_sensor(source, settings, names.job_name(source.full_name)) if source.live else None
    return SourceDefinitions(asset, job, sensor, build_sweep_schedule(source, settings, job, grid_ms=grid_ms))


def build_asset(source: SourceConfig, settings: Settings, grid_ms: int) -> dg.AssetsDefinition:
    """The graph-backed asset `fetch ─► deliver`, partitioned by window from `grid_ms` on."""
    fetch, deliver = build_fetch(source, settings), build_deliver(source, settings)
    preset = preset_of(source.vendor)

    @dg.graph_asset(
        name=names.asset_path(source.full_name)[-1],
        key_prefix=names.asset_path(source.full_name)[:-1] or None,
        description=_description(source),
        group_name=names.group_name(source.full_name),
        partitions_def=partitions_of(source.window, grid_ms),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=WINDOWS_PER_RUN),
        kinds={"api", *(record.type for record in source.lanes.values()), *(preset.kinds if preset else [])},
        owners=source.owners or None,
        tags={"flicker/vendor": source.vendor or "generic"},
        metadata=_metadata(source, docs=preset.docs if preset else None),
        check_specs=check_specs(names.asset_key(source.full_name)),
    )
    def audit_logs() -> dict[str, object]:
        result, complete, delivered = deliver.alias("deliver")(fetched=fetch.alias("fetch")())
        return {
            "result": result,
            f"{names.graph_name(source.full_name)}_{names.CHECK_COMPLETE}": complete,
            f"{names.graph_name(source.full_name)}_{names.CHECK_DELIVERED}": delivered,
        }

    return audit_logs.map_asset_specs(
        lambda spec: dg.apply_freshness_policy(spec, _freshness(source.window, source.sweep))
    )


def partitions_of(windows: WindowConfig, grid_ms: int) -> dg.TimeWindowPartitionsDefinition:
    """The grid of windows from `grid_ms` on. It ends with the last closed window: an open one cannot be certified."""
    start = datetime.fromtimestamp(grid_ms / 1000, tz=timezone.utc)
    if windows.size == "day":
        return dg.DailyPartitionsDefinition(start_date=start, timezone="UTC")
    return dg.HourlyPartitionsDefinition(start_date=start, timezone="UTC")


def _freshness(windows: WindowConfig, sweep: SweepConfig) -> dg.FreshnessPolicy:
    """Sweeps materialise the asset once a window even where nothing happens; later than that, something is wrong."""
    window_ms = SIZES_MS[windows.size]
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(milliseconds=STALE_WINDOWS * window_ms + sweep.settle_ms),
    )


def _description(source: SourceConfig) -> str:
    mode = f"polled every {interval_s(source.polling_frequency_ms)} s" if source.live else "collected window by window"
    from_ = shown_endpoint(source.endpoint)
    to = " and ".join(f"`{each}`" for each in shown_destinations(source.lanes.values()))
    green = _what_green_means(source.window, by_arrival=source.listing.by_arrival)
    return f"{source.description or 'Audit events of ' + source.name}\n\nFrom `{from_}` to {to}, {mode}. {green}"


def _what_green_means(windows: WindowConfig, *, by_arrival: bool) -> str:
    if not windows.askable:
        return (
            "This API lists what arrives and cannot be asked for a window, so no window is read again and none turns green: "
            "its cursor, which moves only when everything before it is in the SIEM, is the proof."
        )
    green = "A green window was read again after it settled, and everything the vendor has of it is in the SIEM."
    if not by_arrival:
        return green
    return (
        f"{green} Windows are those in which events **became available**, not in which they happened: this vendor lists by "
        "arrival, and an event may be older than its window."
    )


def _axis(windows: WindowConfig, *, by_arrival: bool) -> str:
    if not windows.askable:
        return "none: this API cannot be asked for a window"
    return "arrival: when an event became available" if by_arrival else "event time"


def _metadata(source: SourceConfig, *, docs: str | None) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        "source": dg.MetadataValue.text(source.name),
        "endpoint": dg.MetadataValue.text(shown_endpoint(source.endpoint)),
        "destination": dg.MetadataValue.text(", ".join(shown_destinations(source.lanes.values()))),
        "poll interval s": dg.MetadataValue.int(interval_s(source.polling_frequency_ms)),
        "windows by": dg.MetadataValue.text(_axis(source.window, by_arrival=source.listing.by_arrival)),
    }
    if docs:
        metadata["vendor documentation"] = dg.MetadataValue.url(docs)
    return metadata
