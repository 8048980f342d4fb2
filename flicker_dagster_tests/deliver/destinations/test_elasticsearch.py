"""What only `type: elasticsearch` does: API keys, and the demand that a data stream is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, PerItem
from flicker_dagster.simulator.bulk_api import api_key
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.clusters import opened

LOT = lot_of([event_of(n) for n in range(3)])


@pytest.fixture
def cluster() -> Iterator[ElasticsearchReceiver]:
    receiver = ElasticsearchReceiver()
    yield receiver
    receiver.close()


def test_an_api_key_is_sent_as_it_was_given(cluster: ElasticsearchReceiver) -> None:
    cluster.authorizations = (api_key("aWQ6a2V5"),)
    assert isinstance(opened(cluster, api_key="${KEY}", env={"KEY": "aWQ6a2V5"}).send(LOT), Delivered)
    assert isinstance(opened(cluster, api_key="${KEY}", env={"KEY": "d3Jvbmc6"}).send(LOT), Blocked)


def test_an_api_key_that_is_over_costs_no_event(cluster: ElasticsearchReceiver) -> None:
    cluster.authorizations = (api_key("bmV3OmtleQ=="),)
    lots = lots_of(300)
    queue = MemoryQueue(lots)

    def with_key(key: str) -> Callable[[], Destination]:
        return lambda: opened(cluster, api_key="${KEY}", env={"KEY": key})

    refused = drain(queue, with_key("b2xkOmtleQ=="), runs=3)
    assert queue.waiting == 300
    assert "HTTP 401" in refused.last_words
    assert "b2xkOmtleQ==" not in refused.last_words

    assert drain(queue, with_key("bmV3OmtleQ==")).done
    assert cluster.counts() == {uid: 1 for lot in lots for uid in lot.uids}


def test_a_name_without_a_template_is_refused_rather_than_made_an_index_of(cluster: ElasticsearchReceiver) -> None:
    stream = {"type": "audit", "dataset": "okta"}
    outcome = opened(cluster, data_stream=stream).send(LOT)
    assert isinstance(outcome, PerItem)
    assert {type(item) for item in outcome.items} == {Blocked}
    assert not cluster.counts()


def test_where_the_server_is_too_old_for_that_it_need_not_be_asked_for(cluster: ElasticsearchReceiver) -> None:
    assert isinstance(opened(cluster, require_data_stream=False).send(LOT), Delivered)
    assert isinstance(opened(cluster, index="audit").send(LOT), Delivered)
    assert all("require_data_stream" not in request.query for request in cluster.asked)


def test_two_ways_to_sign_are_a_contradiction() -> None:
    auth = {"type": "bearer", "token": "t"}
    record = destination_adapter().validate_python(
        {"type": "elasticsearch", "endpoint": "https://h", "api_key": "k", "auth": auth}
    )
    assert [key for key, _ in record.faults()] == ["api_key"]
