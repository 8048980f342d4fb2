"""Real receivers as fixtures of a session: each is started when a test first asks for it, and left out with a word where it
cannot be had."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from flicker_dagster.config.destinations.opensearch import OpenSearchDestination
from flicker_dagster_tests.real import collector as collector_
from flicker_dagster_tests.real import kafka as kafka_
from flicker_dagster_tests.real import nginx as nginx_
from flicker_dagster_tests.real import object_stores
from flicker_dagster_tests.real import opensearch as opensearch_
from flicker_dagster_tests.real import rsyslog as rsyslog_
from flicker_dagster_tests.real import victorialogs as victorialogs_
from flicker_dagster_tests.real.builds import Unavailable
from flicker_dagster_tests.real.opensearch import OpenSearch

HERE = Path(__file__).parent
R = TypeVar("R")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is `real`."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.real)


def _started(receiver: AbstractContextManager[R]) -> Iterator[R]:
    """The receiver while the tests run."""
    try:
        found = receiver.__enter__()
    except Unavailable as why:
        # Its program cannot be had (no Java, no Go, no Debian package). Nothing of it is needed to run Flicker, the reason is
        # printed, and where CI runs all of them are installed.
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


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka_.Kafka]:
    yield from _started(kafka_.running(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[collector_.Collector]:
    yield from _started(collector_.running(tmp_path_factory.mktemp("collector")))


@pytest.fixture(scope="session")
def rsyslog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rsyslog_.Rsyslog]:
    yield from _started(rsyslog_.running(tmp_path_factory.mktemp("rsyslog")))


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_stores.ObjectStore]:
    yield from _started(object_stores.seaweedfs(tmp_path_factory.mktemp("seaweedfs")))


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_stores.ObjectStore]:
    yield from _started(object_stores.moto(tmp_path_factory.mktemp("moto")))


@pytest.fixture
def nginx_before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., nginx_.Front]]:
    """Puts an nginx in front of the server at a URL: `nginx_before(url, largest_body_bytes=…, client_certificates=…)`."""
    with ExitStack() as stack:

        def put(upstream: str, **settings: Any) -> nginx_.Front:
            front = nginx_.before(upstream, tmp_path_factory.mktemp("nginx"), **settings)
            return stack.enter_context(contextmanager(_started)(front))

        yield put


@pytest.fixture(scope="module")
def node(opensearch: OpenSearch) -> OpenSearch:
    """The node, with the index template that the guide tells to make."""
    found = re.search(r"`PUT (/_index_template/\S+) (\{.*?\})`\.", OpenSearchDestination.GUIDE.create[0])
    assert found is not None
    opensearch.ask("PUT", found[1], json.loads(found[2]))
    return opensearch
