"""Windows of event time: the partition grid of a source, and the hours by which the ledger is sharded.

Both are UTC and half-open. Partition keys are Dagster's own spelling for hourly and daily grids.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from flicker_dagster.config.grid import Grid
from flicker_dagster.config.groups import WindowConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import Window

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KEY_FORMATS = {"hour": "%Y-%m-%d-%H:%M", "day": "%Y-%m-%d"}
SIZES_MS = {"hour": HOUR_MS, "day": DAY_MS}

#: How far back the grid reaches where neither `window.start` nor the vendor's retention says otherwise.
DEFAULT_REACH_MS = 90 * DAY_MS

#: The shard of events whose time cannot be read: their digest is all there is to file them by.
UNTIMED_SHARD = "untimed"


def shard_of(time_ms: int | None) -> str:
    """The ledger shard of an event: its UTC hour, whatever the grid is, so that changing `window` forgets nothing."""
    if time_ms is None:
        return UNTIMED_SHARD
    hour = time_ms // HOUR_MS
    key = _SHARD_KEYS.get(hour)
    if key is None:
        if len(_SHARD_KEYS) > 4096:
            _SHARD_KEYS.clear()
        key = _SHARD_KEYS[hour] = _utc(hour * HOUR_MS).strftime("%Y-%m-%dT%H")
    return key


_SHARD_KEYS: dict[int, str] = {}


def grid_start_ms(grid: Grid, now_ms: int) -> int:
    """Where a stream's partition grid begins: `window.start`, else the first of the month in which retention ends.

    The first of a month keeps the grid still for weeks; a grid that moved every hour would change under the UI's feet.
    """
    if grid.windows.start is not None:
        start_ms = parse_time_ms(grid.windows.start)
        if start_ms is None:
            raise FlickerError(f"{grid.name}: window.start {grid.windows.start!r} is not an ISO date or time")
        return start_ms // SIZES_MS[grid.windows.size] * SIZES_MS[grid.windows.size]
    reach_ms = grid.retention_ms or DEFAULT_REACH_MS
    edge = _utc(now_ms - reach_ms)
    return _ms(edge.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def window_of_key(grid: Grid, key: str) -> Window:
    """The window that a partition key names. Raises FlickerError for a key of another grid."""
    try:
        start = datetime.strptime(key, KEY_FORMATS[grid.windows.size]).replace(tzinfo=timezone.utc)
    except ValueError:
        raise FlickerError(
            f"{grid.name}: {key!r} is no {grid.windows.size} window; expected a key such as "
            f"{window_at(grid.windows, 0).key!r}"
        ) from None
    return Window(key=key, start_ms=_ms(start), end_ms=_ms(start) + SIZES_MS[grid.windows.size])


def window_at(windows: WindowConfig, time_ms: int) -> Window:
    """The window that holds an instant."""
    size_ms = SIZES_MS[windows.size]
    start_ms = time_ms // size_ms * size_ms
    return Window(_utc(start_ms).strftime(KEY_FORMATS[windows.size]), start_ms, start_ms + size_ms)


def closed_windows(windows: WindowConfig, since_ms: int, until_ms: int) -> Iterator[Window]:
    """Windows, newest first, that end at or before `until_ms` and hold or follow `since_ms`."""
    size_ms = SIZES_MS[windows.size]
    window = window_at(windows, until_ms - size_ms)
    while window.end_ms > since_ms:
        yield window
        window = window_at(windows, window.start_ms - size_ms)


def _utc(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
