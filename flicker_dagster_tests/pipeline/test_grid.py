"""The grid begins with the window in which collection began, wherever the state is at that moment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.groups import WindowConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import StateError
from flicker_dagster.pipeline import grid
from flicker_dagster.pipeline.begin import begun_ms, starting_position
from flicker_dagster.pipeline.grid import grid_begin_ms
from flicker_dagster.pipeline.windows import DAY_MS, HOUR_MS
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.stores import LocalStore
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.builders import a_source

NOW_MS = 1_767_270_600_000  # 2026-01-01T12:30:00Z
NOON_MS = NOW_MS - HOUR_MS // 2


class Remote:
    """A store that is no directory: it may be away, or not answer."""

    def __init__(self, root: Path) -> None:
        self.store = LocalStore(root)
        self.away = False
        self.takes_s = 0.0
        self.reads = 0

    def read(self, key: str) -> Any:
        self.reads += 1
        time.sleep(self.takes_s)
        if self.away:
            raise StateError("away")
        return self.store.read(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture
def layout(tmp_path: Path) -> StateLayout:
    return StateLayout.of(None, tmp_path / "state", tmp_path / "work")


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Remote, StateLayout]:
    monkeypatch.setattr(grid, "_asked", grid._Asking())
    store: Any = Remote(tmp_path / "far")
    return store, StateLayout(store, "registry.json", store, tmp_path / "work")


def begun(source: SourceConfig, layout: StateLayout, at_ms: int) -> None:
    work = SourceWork(source, layout, clock=lambda: at_ms / 1000)
    starting_position(work)
    assert begun_ms(work) is not None


def begins(source: SourceConfig, layout: StateLayout, *, now_ms: int = NOW_MS) -> int:
    return grid_begin_ms(source.grid, layout, now_ms=now_ms)


def test_it_begins_with_the_window_in_which_collection_began(layout: StateLayout) -> None:
    source = a_source()
    begun(source, layout, NOW_MS)
    assert begins(source, layout, now_ms=NOW_MS + 5 * DAY_MS) == NOON_MS
    daily = a_source(window=WindowConfig(size="day"))
    assert begins(daily, layout, now_ms=NOW_MS + 5 * DAY_MS) == NOON_MS - 12 * HOUR_MS


def test_before_anything_was_collected_it_begins_where_start_from_points(layout: StateLayout) -> None:
    assert begins(a_source(start_from="now"), layout) == NOON_MS
    assert begins(a_source(start_from="3h"), layout) == NOON_MS - 3 * HOUR_MS
    assert begins(a_source(start_from="2025-12-31T05:10:00Z"), layout) == NOON_MS - 31 * HOUR_MS


def test_a_source_that_came_with_a_registry_begins_where_that_stands(layout: StateLayout) -> None:
    source = a_source()
    layout.registry().commit(source.name, Position(rfc3339_ms(NOW_MS - 50 * HOUR_MS), None), seen=None)
    assert begins(source, layout) == NOON_MS - 50 * HOUR_MS


def test_a_renamed_source_begins_where_the_former_one_did(layout: StateLayout) -> None:
    begun(a_source(name="old"), layout, NOW_MS - 7 * HOUR_MS)
    assert begins(a_source(name="new", renamed_from="old"), layout) == NOON_MS - 7 * HOUR_MS


@pytest.mark.parametrize("start", ["2025-12-01", "2026-01-01T12:10:00Z"])
def test_window_start_says_it_whatever_began_when(layout: StateLayout, start: str) -> None:
    source = a_source(window=WindowConfig(start=start))
    begun(source, layout, NOW_MS - 5 * HOUR_MS)
    assert rfc3339_ms(begins(source, layout)) == ("2025-12-01" if start == "2025-12-01" else "2026-01-01") + (
        "T00:00:00.000Z" if start == "2025-12-01" else "T12:00:00.000Z"
    )


def test_it_reaches_no_further_back_than_the_month_in_which_retention_ends(layout: StateLayout) -> None:
    source = a_source(retention_ms=30 * DAY_MS)
    begun(source, layout, NOW_MS)
    assert rfc3339_ms(begins(source, layout, now_ms=NOW_MS + 200 * DAY_MS)) == "2026-06-01T00:00:00.000Z"


@pytest.mark.parametrize("damage", [b"", b"\xff", b"soon", b"9" * 1000])
def test_a_damaged_state_stops_no_definitions(layout: StateLayout, damage: bytes) -> None:
    source = a_source(start_from="now")
    for key in (f"begun/{source.name}", "registry.json"):
        path = layout.store.root / key  # type: ignore[attr-defined]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damage)
    assert begins(source, layout) == NOON_MS


def test_a_state_on_a_network_is_asked_once_and_its_copy_counts_when_it_is_away(
    remote: tuple[Remote, StateLayout],
) -> None:
    store, layout = remote
    source = a_source()
    begun(source, layout, NOW_MS)
    store.away = True
    reads = store.reads
    for days in (1, 2):
        assert begins(source, layout, now_ms=NOW_MS + days * DAY_MS) == NOON_MS
    assert store.reads == reads


def test_a_state_that_is_away_or_does_not_answer_holds_up_no_definitions(
    remote: tuple[Remote, StateLayout], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, layout = remote
    store.away = True
    assert begins(a_source(start_from="now"), layout) == NOON_MS
    monkeypatch.setattr(grid._asked, "_left_s", 0.05)
    store.takes_s = 5
    began_s = time.monotonic()
    for number in range(20):
        assert begins(a_source(name=f"source-{number}", start_from="now"), layout) == NOON_MS
    assert time.monotonic() - began_s < 2


def test_connections_opened_to_ask_are_let_go_before_anybody_forks(
    remote: tuple[Remote, StateLayout], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are forked from the process that loaded the definitions; two of them on one connection would read each
    other's answers."""
    _, layout = remote
    let_go: list[bool] = []
    monkeypatch.setattr(grid, "let_go_of_clients", lambda: let_go.append(True))
    begins(a_source(), layout)
    assert let_go
