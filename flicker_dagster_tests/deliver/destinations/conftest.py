"""A server that answers what a test tells it, one for a whole module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flicker_dagster_tests.deliver.destinations.scenes import Answering


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.server.close()
