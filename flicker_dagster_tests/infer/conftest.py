"""A vendor whose answers a test says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flicker_dagster_tests.infer.worlds import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.server.close()
