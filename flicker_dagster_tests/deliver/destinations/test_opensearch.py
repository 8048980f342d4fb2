"""What only `type: opensearch` does: signatures of AWS, and one parameter less."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flicker_dagster.deliver.outcomes import Blocked, Delivered
from flicker_dagster.simulator.bulk_api import AwsCaller
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.clusters import opened

LOT = lot_of([event_of(n) for n in range(3)])


@pytest.fixture
def cluster() -> Iterator[OpenSearchReceiver]:
    receiver = OpenSearchReceiver()
    yield receiver
    receiver.close()


def test_a_parameter_that_opensearch_refuses_is_not_sent(cluster: OpenSearchReceiver) -> None:
    assert isinstance(opened(cluster).send(LOT), Delivered)
    assert cluster.asked[0].query.keys() == {"filter_path"}


@pytest.mark.parametrize("service", ["es", "aoss"])
def test_requests_are_signed_for_amazons_services(cluster: OpenSearchReceiver, service: str) -> None:
    cluster.signed_by = AwsCaller("AKIDEXAMPLE", "s3cret/key", "eu-central-1", service, "session")
    auth = {
        "type": "aws_sigv4",
        "region": "eu-central-1",
        "service": service,
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "${SECRET}",
        "session_token": "${TOKEN}",
    }
    env = {"SECRET": "s3cret/key", "TOKEN": "session"}
    for keys in ({}, {"compression": "none"}, {"index": "audit-%Y.%m.%d"}, {"pipeline": "_none"}):
        assert not isinstance(opened(cluster, auth=auth, env=env, **keys).send(LOT), Blocked)

    outcome = opened(cluster, auth=auth, env=env | {"SECRET": "another"}).send(LOT)
    assert isinstance(outcome, Blocked)
    assert "HTTP 403" in outcome.why
    assert cluster.counts() == dict.fromkeys(LOT.uids, 2)  # in the stream, and in the dated index
