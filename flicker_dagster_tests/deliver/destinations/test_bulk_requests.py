"""What `type: elasticsearch` and `type: opensearch` send, tried against the receivers of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Rejected, Split
from flicker_dagster.simulator.bulk_api import BulkReceiver, basic, bearer
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.clusters import LOT, RECEIVERS, TARGET, kinds, opened, send
from flicker_dagster_tests.tls import Authority

# -- what is sent


def test_every_event_becomes_a_document_of_the_data_stream_under_its_uid(cluster: BulkReceiver) -> None:
    assert send(cluster, message_field="actor.name") == Delivered("HTTP 200 OK")

    documents = cluster.documents(TARGET)
    assert list(documents) == LOT.uids
    assert [each["event"]["original"].encode() for each in documents.values()] == LOT.events
    assert {each["message"] for each in documents.values()} == {"Zoë Ünal"}
    assert documents[LOT.uids[0]]["data_stream"] == {"type": "logs", "dataset": "okta", "namespace": "default"}


def test_what_is_sent_again_is_known_and_changes_nothing(cluster: BulkReceiver) -> None:
    send(cluster)
    assert set(kinds(send(cluster))) == {Duplicate}
    assert cluster.counts() == dict.fromkeys(LOT.uids, 1)


def test_an_index_that_was_rolled_over_knows_no_ids(cluster: BulkReceiver) -> None:
    send(cluster)
    cluster.roll_over(TARGET)
    assert isinstance(send(cluster), Delivered)
    assert set(cluster.counts().values()) == {2}


def test_a_dated_index_knows_its_events_for_ever(cluster: BulkReceiver) -> None:
    lot = lot_of([event_of(1), event_of(2)], times_ms=[NOW_MS, NOW_MS - DAY_MS])
    assert isinstance(send(cluster, lot, index="audit-%Y.%m.%d"), Delivered)
    assert set(kinds(send(cluster, lot, index="audit-%Y.%m.%d"))) == {Duplicate}
    assert list(cluster.documents("audit-2026.11.22")) == lot.uids[1:]
    assert list(cluster.documents("audit-2026.11.23")) == lot.uids[:1]


def test_a_plain_index_is_part_of_the_address(cluster: BulkReceiver) -> None:
    assert isinstance(send(cluster, index="audit"), Delivered)
    assert cluster.asked[0].path == "/audit/_bulk"
    assert "data_stream" not in next(iter(cluster.documents("audit").values()))


def test_the_parts_of_a_data_streams_name_can_be_given(cluster: BulkReceiver) -> None:
    stream = {"dataset": "okta.system", "namespace": "prod"}
    assert isinstance(send(cluster, data_stream=stream), Delivered)
    assert len(cluster.documents("logs-okta.system-prod")) == len(LOT)


def test_the_query_is_escaped_as_signatures_want_it(cluster: BulkReceiver) -> None:
    cluster.state.pipelines.add("geo ip/1")
    assert isinstance(send(cluster, pipeline="geo ip/1"), Delivered)
    assert "pipeline=geo%20ip%2F1" in cluster.asked[0].target
    assert "items.%2A.status" in cluster.asked[0].target


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_bodies_are_the_same_whenever_they_are_made(cluster: BulkReceiver, compression: str) -> None:
    for _ in range(2):
        send(cluster, compression=compression)
    first, second = cluster.asked
    assert first.body == second.body
    assert first.headers.get("content-encoding") == ("gzip" if compression == "gzip" else None)
    assert "transfer-encoding" not in first.headers


def test_more_headers_are_sent_with_their_secrets(cluster: BulkReceiver) -> None:
    send(cluster, headers={"X-Access": "${A}"}, env={"A": "s3cret"})
    assert cluster.asked[0].headers["x-access"] == "s3cret"


@pytest.mark.parametrize(
    ("auth", "authorization"),
    [
        ({"type": "basic", "username": "flicker", "password": "${P}"}, basic("flicker", "p4ss:ö")),
        ({"type": "bearer", "token": "${P}"}, bearer("p4ss:ö".encode().decode("latin-1"))),
    ],
)
def test_credentials_are_sent(cluster: BulkReceiver, auth: dict[str, str], authorization: str) -> None:
    cluster.authorizations = (authorization,)
    password = "p4ss:ö" if auth["type"] == "basic" else "p4ss:ö".encode().decode("latin-1")
    assert isinstance(send(cluster, auth=auth, env={"P": password}), Delivered)


def test_a_cluster_that_signed_its_own_certificate_is_trusted_by_its_authority(
    cluster: BulkReceiver, tmp_path: Path
) -> None:
    authority = Authority.in_directory(tmp_path)
    stranger = Authority.in_directory(tmp_path, "stranger")
    endpoint = authority.protect(cluster.server)
    assert isinstance(send(cluster, endpoint=endpoint, tls={"ca_cert_path": authority.ca_path}), Delivered)
    outcome = send(cluster, endpoint=endpoint, tls={"ca_cert_path": stranger.ca_path})
    assert isinstance(outcome, Blocked)
    assert "TLS" in outcome.why


DAY_MS = 86_400_000


# -- sizes


def test_a_body_over_the_configured_size_is_not_sent(cluster: BulkReceiver) -> None:
    assert isinstance(send(cluster, max_batch_bytes=2_000), Split)
    assert not cluster.asked
    assert isinstance(send(cluster, LOT.part([0]), max_batch_bytes=2_000), Delivered)


def test_a_body_over_the_clusters_size_is_to_be_split_inflated_or_not(cluster: BulkReceiver) -> None:
    cluster.max_content_bytes = 2_000
    assert isinstance(send(cluster, compression="gzip"), Split)
    assert isinstance(send(cluster, compression="none"), Split)
    assert len(cluster.asked[0].body) < 2_000


def test_limits_come_from_the_configuration(cluster: BulkReceiver) -> None:
    limits = opened(cluster, max_batch_events=7, max_batch_bytes=1_000, max_in_flight=3).limits
    assert (limits.events, limits.bytes, limits.in_flight) == (7, 500, 3)


# -- words and keys


def test_it_is_described_by_cluster_and_target(cluster: BulkReceiver) -> None:
    keys: dict[str, Any] = {"endpoint": "https://u:hunter22@es.example.com:9200/"}
    assert opened(cluster, **keys).describe().endswith("es.example.com:9200/logs-okta-default")
    assert "hunter22" not in opened(cluster, **keys).describe()
    assert opened(cluster, index="audit-%Y", **keys).describe().endswith("/audit-%Y")


@pytest.mark.parametrize("kind", sorted(RECEIVERS))
@pytest.mark.parametrize(
    ("keys", "key", "said"),
    [
        ({"index": "a", "data_stream": {}}, "index", "both"),
        ({"index": "Audit"}, "index", "lower case"),
        ({"index": "_audit"}, "index", "begins with"),
        ({"index": "audit-%B"}, "index", "%B"),
        ({"index": "audit%"}, "index", "%"),
        ({"index": ""}, "index", "no index"),
        ({"index": "a" * 256}, "index", "255 bytes"),
        ({"data_stream": {"dataset": "okta-system"}}, "data_stream.dataset", "without `-`"),
        ({"data_stream": {"namespace": "Prod"}}, "data_stream.namespace", "lower case"),
        ({"data_stream": {"type": ""}}, "data_stream.type", "no part"),
        ({"endpoint": "https://h?x=1"}, "endpoint", "query"),
        ({"object_field": "okta", "normalise": "ecs"}, "object_field", "both"),
    ],
)
def test_keys_that_cannot_be_right_are_named(kind: str, keys: dict[str, Any], key: str, said: str) -> None:
    record = destination_adapter().validate_python({"type": kind, "endpoint": "https://h"} | keys)
    ((found, words),) = record.faults()
    assert found == key
    assert said in words


@pytest.mark.parametrize("kind", sorted(RECEIVERS))
@pytest.mark.parametrize(
    "keys", [{}, {"index": "audit-%Y.%m.%d"}, {"index": "audit"}, {"data_stream": {"dataset": "okta.system"}}]
)
def test_keys_that_can_be_right_are_not(kind: str, keys: dict[str, Any]) -> None:
    assert destination_adapter().validate_python({"type": kind, "endpoint": "https://h"} | keys).faults() == []


def test_the_answer_that_is_asked_for_keeps_places(cluster: BulkReceiver) -> None:
    """Had only errors been asked for, the items that were taken would be missing from the answer."""
    cluster.refuse_items(ItemRefusal(400, "mapper_parsing_exception", "no"), holding=b"e000009")
    assert kinds(send(cluster)) == [Delivered] * 9 + [Rejected]
    asked = cluster.asked[0].query["filter_path"].split(",")
    assert "items.*.status" in asked
    assert sum(path.startswith("items.") for path in asked) == 5
