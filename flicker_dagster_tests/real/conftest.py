"""Real receivers as fixtures of a session: each is started when a test first asks for it, and left out with a word where it
cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import pytest

from flicker_dagster_tests.real import opensearch as opensearch_
from flicker_dagster_tests.real import victorialogs as victorialogs_
from flicker_dagster_tests.real.builds import Unavailable

HERE = Path(__file__).parent
R = TypeVar("R")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is `real`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.real)


def _started(receiver: AbstractContextManager[R]) -> Iterator[R]:
    try:
        found = receiver.__enter__()
    except Unavailable as why:
        pytest.skip(str(why))
    try:
        yield found
    finally:
        receiver.__exit__(None, None, None)


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[opensearch_.OpenSearch]:
    yield from _started(opensearch_.running(tmp_path_factory.mktemp("opensearch")))


@pytest.fixture(scope="session")
def victorialogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[victorialogs_.VictoriaLogs]:
    yield from _started(victorialogs_.running(tmp_path_factory.mktemp("victorialogs")))
