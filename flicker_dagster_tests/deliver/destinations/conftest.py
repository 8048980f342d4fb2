"""What destinations of several files are tried against, closed with the test or, where it costs, with the module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.deliver.destination import Destination, open_destination
from flicker_dagster.simulator.bulk_api import BulkReceiver
from flicker_dagster.simulator.receivers.otlp import OtlpReceiver
from flicker_dagster.simulator.receivers.s3 import S3Receiver
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import FakeClock
from flicker_dagster_tests.deliver.destinations.clusters import RECEIVERS
from flicker_dagster_tests.deliver.destinations.hec import TOKEN, Collector
from flicker_dagster_tests.deliver.destinations.scenes import Answering
from flicker_dagster_tests.deliver.destinations.stores import ENV, KEYS, Opens, context, record


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    """Answers what a test tells it."""
    server = Answering()
    yield server
    server.server.close()


@pytest.fixture
def store() -> Iterator[S3Receiver]:
    receiver = S3Receiver(keys=KEYS)
    yield receiver
    receiver.close()


@pytest.fixture
def opened_s3() -> Iterator[Opens]:
    """Opens destinations of `type: s3` that are closed with the test."""
    found: list[Destination] = []

    def open_one(store: S3Receiver, *, message_field: str | None = None, env: Any = ENV, **keys: Any) -> Destination:
        destination = open_destination(record(store.url, **keys), context(message_field=message_field, env=env))
        found.append(destination)
        return destination

    yield open_one
    for each in found:
        each.close()


@pytest.fixture
def siem(answering: Answering) -> Answering:
    """Takes whatever it is sent, until a test tells it otherwise."""
    answering.says(200, b'{"ok": true}')
    answering.requests.clear()
    return answering


@pytest.fixture
def syslog() -> Iterator[SyslogReceiver]:
    server = SyslogReceiver()
    yield server
    server.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def collector(clock: FakeClock) -> Iterator[Collector]:
    """Opens collectors that are closed with the test."""
    opened_ones: list[SplunkHecReceiver] = []

    def open_one(**keys: Any) -> SplunkHecReceiver:
        opened_ones.append(SplunkHecReceiver(**{"clock": clock} | keys))
        return opened_ones[-1]

    yield open_one
    for siem in opened_ones:
        siem.close()


@pytest.fixture
def acknowledging(collector: Collector) -> Collector:
    """Opens collectors whose token has acknowledgement."""
    return lambda **keys: collector(**{"tokens": {TOKEN: HecToken(ack=True)}} | keys)


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver(token="t0ken-value")
    yield receiver
    receiver.close()


@pytest.fixture(params=sorted(RECEIVERS))
def cluster(request: pytest.FixtureRequest) -> Iterator[BulkReceiver]:
    """Of either server."""
    receiver = RECEIVERS[request.param](seed=7)
    yield receiver
    receiver.close()
