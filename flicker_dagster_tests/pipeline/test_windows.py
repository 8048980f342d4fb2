"""Windows are UTC and half-open; their keys are Dagster's own."""

from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.groups import WindowConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.pipeline.windows import (
    HOUR_MS,
    closed_windows,
    grid_start_ms,
    shard_of,
    window_at,
    window_of_key,
)
from flicker_dagster_tests.builders import a_source

HOURLY = a_source()
DAILY = a_source(window=WindowConfig(size="day"))
NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_lies_in_its_window_and_the_key_leads_back_to_it(ms: int) -> None:
    for source in (HOURLY, DAILY):
        window = window_at(source.window, ms)
        assert window.start_ms <= ms < window.end_ms
        assert window_of_key(source.grid, window.key) == window


def test_keys_are_those_of_dagsters_grids() -> None:
    hourly = dg.HourlyPartitionsDefinition("2026-01-01-00:00", timezone="UTC")
    daily = dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC")
    assert window_at(HOURLY.window, NOON_MS).key in hourly.get_partition_keys()
    assert window_at(DAILY.window, NOON_MS).key in daily.get_partition_keys()


def test_closed_windows_come_newest_first_and_leave_out_the_open_one() -> None:
    keys = [w.key for w in closed_windows(HOURLY.window, NOON_MS - 2 * HOUR_MS, NOON_MS + HOUR_MS // 2)]
    assert keys == ["2026-01-01-11:00", "2026-01-01-10:00"]


def test_a_key_of_another_grid_is_refused() -> None:
    with pytest.raises(FlickerError, match="no hour window"):
        window_of_key(HOURLY.grid, "2026-01-01")


def test_the_grid_starts_where_told_or_at_the_month_in_which_retention_ends() -> None:
    assert grid_start_ms(a_source(window=WindowConfig(start="2026-01-01T11:30:00Z")).grid, 0) == NOON_MS - HOUR_MS
    assert shard_of(grid_start_ms(HOURLY.grid, NOON_MS)) == "2025-10-01T00"


def test_shards_are_hours_whatever_the_grid() -> None:
    assert shard_of(NOON_MS + 1) == "2026-01-01T12"
    assert shard_of(None) == "untimed"
