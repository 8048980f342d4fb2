"""Which windows are verified, which are due for another look, and which are lost: read from Dagster's own record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import msgspec

from flicker_dagster.collect.bounds import from_bound_ms
from flicker_dagster.config.groups import SweepConfig, WindowConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.recorded import Recorded
from flicker_dagster.pipeline.begin import begun_ms
from flicker_dagster.pipeline.windows import DAY_MS, SIZES_MS, closed_windows, grid_start_ms
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Window

#: Windows whose verification is checked for its time as well: an early backfill may have turned one green too soon.
RECENT_WINDOWS = 48

#: Materialisations looked at per window, newest first, to find when it was last verified.
LOOKS_PER_WINDOW = 4

#: For how long a look at a window counts in what the `complete` check says.
LOOKS_COUNT_MS = DAY_MS


class Look(msgspec.Struct, frozen=True):
    """One reading of a window, as its materialisation tells it. `at_ms` is by the clock of the run that did it."""

    key: str
    at_ms: int
    seen: int
    late: int  # what was missing until then; nothing of a window that was shipped again by order
    lateness_max_s: float


def due_windows(instance: dg.DagsterInstance, work: SourceWork) -> list[Window]:
    """Windows to read again, newest first: closed and settled, and not verified since they settled or since they reached
    one of the ages in `sweep.revisit_ms`. What the vendor no longer keeps is not among them."""
    now_ms, sweep = vendor_now_ms(work), work.source.sweep
    settled = [window for window in _settled(work) if _is_kept(work, window)]
    verified = verified_keys(instance, work)
    looks = _looks(instance, work, settled[: _looked_again(sweep, work.source.window)])
    verified_ms = {look.key: look.at_ms for look in sorted(looks, key=lambda look: look.at_ms)}
    return [
        window
        for window in settled
        if window.key not in verified
        or (window.key in verified_ms and verified_ms[window.key] < _wanted_ms(sweep, window, now_ms=now_ms))
    ]


def is_settled(sweep: SweepConfig, window: Window, read_ms: int) -> bool:
    """Had a window settled when its reading began? What was read before proves nothing of what came after."""
    return read_ms >= window.end_ms + sweep.settle_ms


def verified_keys(instance: dg.DagsterInstance, work: SourceWork) -> set[str]:
    """The windows that runs of this state have verified. Another location on the instance may have an asset of the same
    key, and anybody may report a materialisation by hand: what they say is nothing to go by."""
    asset_key = names.asset_key(work.source.full_name)
    there = instance.get_materialized_partitions(asset_key)  # not those that were wiped
    return there & Recorded(instance, work.state_id).partitions(asset_key)


def gaps(instance: dg.DagsterInstance, work: SourceWork) -> list[Window]:
    """Windows since collection began that were never verified and that the vendor no longer keeps."""
    verified = verified_keys(instance, work)
    return [w for w in _settled(work) if w.key not in verified and not _is_kept(work, w)]


def recent_looks(instance: dg.DagsterInstance, work: SourceWork) -> list[Look]:
    """Every recorded look of the last day at a window since collection began (one before is a backfill)."""
    began_ms = begun_ms(work)
    newest = _settled(work)[: _looked_again(work.source.sweep, work.source.window)]
    windows = [w for w in newest if began_ms is None or w.start_ms >= began_ms]
    since_ms = vendor_now_ms(work) - LOOKS_COUNT_MS
    return [look for look in _looks(instance, work, windows) if look.at_ms > since_ms]


def vendor_now_ms(work: SourceWork) -> int:
    """Now by the vendor's clock, as the last live poll learnt it: a window closes when it does for the vendor."""
    state = work.live.state
    return work.now_ms() + (0 if state is None else state.skew_ms)


def _settled(work: SourceWork) -> list[Window]:
    """Closed and settled windows since collection began, newest first: by the vendor's clock, and by ours, with which
    Dagster's grid ends."""
    now_ms = min(vendor_now_ms(work), work.now_ms())
    began_ms = begun_ms(work)
    if began_ms is None:  # nothing collected yet
        return []
    source = work.source
    since_ms = max(began_ms, grid_start_ms(source.grid, now_ms))
    # Where an upper bound is written in days, no window can be asked for before its day is over.
    settled_ms = now_ms - source.sweep.settle_ms
    until_ms = settled_ms if source.listing.time.until_future else from_bound_ms(source.listing.time, settled_ms)
    return list(closed_windows(source.window, since_ms, until_ms))


def _is_kept(work: SourceWork, window: Window) -> bool:
    retention_ms = work.source.retention_ms
    return retention_ms is None or window.start_ms >= work.now_ms() - retention_ms


def _wanted_ms(sweep: SweepConfig, window: Window, *, now_ms: int) -> int:
    """The latest moment by now from which a look at the window counts: when it settled, or reached a revisit's age."""
    ages_ms = [sweep.settle_ms, *sweep.revisit_ms]
    return max(window.end_ms + age_ms for age_ms in ages_ms if window.end_ms + age_ms <= now_ms)


def _looked_again(sweep: SweepConfig, windows: WindowConfig) -> int:
    """How many of the newest windows are read again at some age, and a few more."""
    oldest_look_ms = max([sweep.settle_ms, *sweep.revisit_ms])
    return RECENT_WINDOWS + oldest_look_ms // SIZES_MS[windows.size]


def _looks(instance: dg.DagsterInstance, work: SourceWork, windows: list[Window]) -> list[Look]:
    """The recorded looks at some windows, newest record first; of each window the last few."""
    if not windows:
        return []
    keys = [window.key for window in windows]
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=names.asset_key(work.source.full_name), asset_partitions=keys),
        limit=LOOKS_PER_WINDOW * len(keys),
    ).records
    found = [(record.asset_materialization, record.timestamp) for record in records]
    return [
        look_of(materialization.partition, materialization.metadata, recorded_s=recorded_s)
        for materialization, recorded_s in found
        if materialization is not None
        and materialization.partition is not None
        and names.is_made_from(work.state_id, materialization.tags)
    ]


def look_of(key: str, metadata: Mapping[str, Any], *, recorded_s: float) -> Look:
    """What the metadata of a window's materialisation says; one reported by hand in the UI may say nothing."""

    def number(name: str) -> float:
        noted = metadata.get(name)
        return 0.0 if noted is None else float(str(noted.value))

    again = names.REDELIVERED_KEY in metadata
    return Look(
        key=key,
        at_ms=int((number(names.VERIFIED_KEY) or recorded_s) * 1000),
        seen=int(number(names.SEEN_KEY)),
        late=0 if again else int(number(names.NEW_KEY)),
        lateness_max_s=number(names.LATENESS_KEY),
    )
