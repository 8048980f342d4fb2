"""A scene for every test of the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.simulator.world import World
from flicker_dagster_tests.cli.scene import HISTORY_S, Scene, vendor_tokens


@pytest.fixture
def world() -> Iterator[World]:
    with World(history_s=HISTORY_S, tokens=vendor_tokens()) as world:
        yield world


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Scene:
    return Scene(tmp_path, world)
