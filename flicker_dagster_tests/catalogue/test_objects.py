"""Objects that are listed and fetched: what a look costs, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.pipeline.probe import ProbeResult, probe
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.state.fetched_objects import FILE, FetchedObjects
from flicker_dagster.types import Remembered
from flicker_dagster_tests.catalogue.scenes import CatalogueScene, scene_of


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[CatalogueScene]:
    siem = Receiver()
    with scene_of(tmp_path, siem, "microsoft_365", "audit_general") as scene:
        yield scene
    siem.close()


def look(scene: CatalogueScene) -> ProbeResult:
    with scene.work() as work:
        assert scene.cursor is not None
        return probe(work, scene.cursor)


def test_a_look_finds_a_new_object_and_fetches_none(scene: CatalogueScene) -> None:
    scene.begin()
    assert not look(scene).found
    scene.emit(5)
    scene.clock.wait(120)
    fetched = sum(scene.vendor.fetched.values())  # type: ignore[attr-defined]
    assert look(scene).found
    assert sum(scene.vendor.fetched.values()) == fetched  # type: ignore[attr-defined]
    scene.drain()
    scene.assert_each_once()
    assert not look(scene).found


def test_a_lost_memory_costs_a_fetch_and_no_event(scene: CatalogueScene) -> None:
    scene.begin()
    scene.emit(5)
    scene.drain()
    with scene.work() as work:
        (work.spool.directory / FILE).unlink()
    scene.clock.wait(60)
    scene.drain()
    scene.assert_each_once()


def test_what_is_remembered_outlives_a_torn_line_and_not_another_shape(tmp_path: Path) -> None:
    objects = FetchedObjects(tmp_path, "shape", keep_since_ms=0)
    for number in range(3):
        objects.add(bytes([number] * 16), 1_000 + number, Remembered(number, "ff"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"0303 1003")
    again = FetchedObjects(tmp_path, "shape", keep_since_ms=1_001)
    assert again.get(bytes([0] * 16)) is None, "older than what is kept"
    assert again.get(bytes([2] * 16)) == Remembered(2, "ff")
    again.add(bytes([9] * 16), 2_000, Remembered(7, "1"))
    assert FetchedObjects(tmp_path, "shape", keep_since_ms=0).get(bytes([9] * 16)) == Remembered(7, "1")
    assert FetchedObjects(tmp_path, "other", keep_since_ms=0).get(bytes([2] * 16)) is None
