"""The time in which simulated vendors and receivers live."""

from __future__ import annotations

import pytest

from flicker_dagster_tests.simulator.worlds import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
