"""Which windows are verified, which are due for another look, and which are lost: read from Dagster's own record."""

from __future__ import annotations

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import names
from flicker_dagster.pipeline.begin import begun_ms
from flicker_dagster.pipeline.windows import SIZES_MS, closed_windows, grid_start_ms
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Window

#: Windows whose verification is checked for its time as well: an early backfill may have turned one green too soon.
RECENT_WINDOWS = 48

#: Materialisations looked at per window, newest first, to find when it was last verified.
LOOKS_PER_WINDOW = 4


def due_windows(instance: dg.DagsterInstance, source: SourceConfig, work: SourceWork) -> list[Window]:
    """Windows to read again, newest first: closed and settled, and not verified since they settled or since they reached
    one of the ages in `sweep.revisit_ms`. What the vendor no longer keeps is not among them."""
    now_ms = vendor_now_ms(work)
    settled = [window for window in _settled(source, work) if _is_kept(source, work, window)]
    verified = instance.get_materialized_partitions(dg.AssetKey(source.asset_name))
    oldest_look_ms = max([source.sweep.settle_ms, *source.sweep.revisit_ms])
    looked_again = RECENT_WINDOWS + oldest_look_ms // SIZES_MS[source.window.size]
    verified_ms = _verified_ms(instance, source, settled[:looked_again])
    return [
        window
        for window in settled
        if window.key not in verified
        or (window.key in verified_ms and verified_ms[window.key] < _wanted_ms(source, window, now_ms=now_ms))
    ]


def gaps(instance: dg.DagsterInstance, source: SourceConfig, work: SourceWork) -> list[Window]:
    """Windows since collection began that were never verified and that the vendor no longer keeps."""
    verified = instance.get_materialized_partitions(dg.AssetKey(source.asset_name))
    return [w for w in _settled(source, work) if w.key not in verified and not _is_kept(source, work, w)]


def vendor_now_ms(work: SourceWork) -> int:
    """Now by the vendor's clock, as the last live poll learnt it: a window closes when it does for the vendor."""
    state = work.live.state
    return work.now_ms() + (0 if state is None else state.skew_ms)


def _settled(source: SourceConfig, work: SourceWork) -> list[Window]:
    """Closed and settled windows since collection began, newest first: by the vendor's clock, and by ours, with which
    Dagster's grid ends."""
    now_ms = min(vendor_now_ms(work), work.now_ms())
    began_ms = begun_ms(work)
    if began_ms is None:  # nothing collected yet
        return []
    since_ms = max(began_ms, grid_start_ms(source, now_ms))
    return list(closed_windows(source, since_ms, now_ms - source.sweep.settle_ms))


def _is_kept(source: SourceConfig, work: SourceWork, window: Window) -> bool:
    return source.retention_ms is None or window.start_ms >= work.now_ms() - source.retention_ms


def _wanted_ms(source: SourceConfig, window: Window, *, now_ms: int) -> int:
    """The latest moment by now from which a look at the window counts: when it settled, or reached a revisit's age."""
    ages_ms = [source.sweep.settle_ms, *source.sweep.revisit_ms]
    return max(window.end_ms + age_ms for age_ms in ages_ms if window.end_ms + age_ms <= now_ms)


def _verified_ms(instance: dg.DagsterInstance, source: SourceConfig, windows: list[Window]) -> dict[str, int]:
    """When each window was last verified, ms, by the clock of the run that did it."""
    if not windows:
        return {}
    keys = [window.key for window in windows]
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(source.asset_name), asset_partitions=keys),
        limit=LOOKS_PER_WINDOW * len(keys),
    ).records
    latest: dict[str, int] = {}
    for record in records:
        materialization = record.asset_materialization
        if materialization is None or materialization.partition is None:
            continue
        noted = materialization.metadata.get(names.VERIFIED_KEY)
        at_ms = int((record.timestamp if noted is None else float(str(noted.value))) * 1000)
        latest[materialization.partition] = max(at_ms, latest.get(materialization.partition, 0))
    return latest
