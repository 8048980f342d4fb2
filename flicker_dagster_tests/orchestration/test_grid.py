"""The partition grid begins where collection does."""

from __future__ import annotations

import time
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from flicker_dagster.config.models import FlickerConfig, SourceConfig, WindowConfig
from flicker_dagster.errors import StateError
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.state.stores import LocalStore
from flicker_dagster_tests.builders import a_source

NOON_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path / "state"), work_dir=str(tmp_path / "work"))


def _first_key(source: SourceConfig, settings: Settings) -> str | None:
    definitions = build_definitions(FlickerConfig(path="config.yaml", sources=[source]), settings)
    asset = definitions.get_assets_def(dg.AssetKey(names.asset_path(source)))
    assert asset.partitions_def is not None
    return asset.partitions_def.get_first_partition_key()


def _key_of(source: SourceConfig, time_ms: int) -> str:
    return window_at(source, time_ms).key


def test_a_source_that_was_never_collected_has_a_grid_from_its_start(settings: Settings) -> None:
    source = a_source(start_from="3h")
    now_ms = int(time.time() * 1000)
    assert _first_key(source, settings) in (_key_of(source, now_ms - 3 * HOUR_MS + late) for late in (0, 60_000))


def test_the_grid_begins_with_the_window_in_which_collection_began(settings: Settings) -> None:
    source = a_source(start_from="now")
    work = settings.work(source)
    work.clock = lambda: (NOON_MS + 90_000) / 1000
    starting_position(work)
    assert _first_key(source, settings) == _key_of(source, NOON_MS)


def test_a_written_start_counts(settings: Settings) -> None:
    source = a_source(window=WindowConfig(start="2026-01-01"))
    assert _first_key(source, settings) == "2026-01-01-00:00"


def test_a_state_that_cannot_be_read_hides_no_window(settings: Settings) -> None:
    """The grid is then the wide one: what is green stays in sight."""
    with patch.object(LocalStore, "read", side_effect=StateError("the disk is gone")):
        first = _first_key(a_source(start_from="now"), settings)
    assert first is not None
    assert first < _key_of(a_source(), int(time.time() * 1000) - 80 * 24 * HOUR_MS)
