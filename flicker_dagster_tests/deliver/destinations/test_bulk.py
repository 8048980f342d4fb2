"""What `type: elasticsearch` and `type: opensearch` have in common, tried against the receivers of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Rejected,
    Retry,
    Split,
)
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.bulk_api import BulkReceiver, basic, bearer
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.clusters import RECEIVERS, TARGET, opened
from flicker_dagster_tests.tls import Authority

LOT = lot_of([event_of(n) for n in range(10)])
DAY_MS = 86_400_000


@pytest.fixture(params=sorted(RECEIVERS))
def cluster(request: pytest.FixtureRequest) -> Iterator[BulkReceiver]:
    receiver = RECEIVERS[request.param]()
    yield receiver
    receiver.close()


def send(cluster: BulkReceiver, lot: Lot = LOT, **keys: Any) -> Outcome:
    destination = opened(cluster, **keys)
    try:
        outcome = destination.send(lot)
    finally:
        destination.close()
    return outcome  # type: ignore[return-value]


def kinds(outcome: Outcome) -> list[type]:
    assert isinstance(outcome, PerItem)
    return [type(item) for item in outcome.items]


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


# -- what its answers stand for


def test_one_refused_document_costs_itself_only(cluster: BulkReceiver) -> None:
    cluster.refuse_items(ItemRefusal(400, "mapper_parsing_exception", "failed to parse"), holding=b"e000003")
    outcome = send(cluster)
    assert kinds(outcome) == [Rejected if n == 3 else Delivered for n in range(10)]
    assert len(cluster.counts()) == 9


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (ItemRefusal(429, "rejected_execution_exception", "queue full"), Retry),
        (ItemRefusal(429, "cluster_block_exception", "flood stage"), Retry),
        (ItemRefusal(503, "unavailable_shards_exception", "no primary"), Retry),
        (ItemRefusal(403, "security_exception", "unauthorized"), Blocked),
        (ItemRefusal(404, "index_not_found_exception", "no such index"), Blocked),
        (ItemRefusal(400, "mapper_parsing_exception", "failed to parse"), Rejected),
    ],
)
def test_items_are_told_apart(cluster: BulkReceiver, refusal: ItemRefusal, kind: type) -> None:
    cluster.refuse_items(refusal, count=4)
    assert kinds(send(cluster)) == [kind] * 4 + [Delivered] * 6
    assert kinds(send(cluster)) == [Delivered] * 4 + [Duplicate] * 6


def test_a_missing_pipeline_blocks(cluster: BulkReceiver) -> None:
    outcome = send(cluster, pipeline="geo")
    assert set(kinds(outcome)) == {Blocked}


def test_a_missing_index_blocks(cluster: BulkReceiver) -> None:
    cluster.state.creates_indices = False
    assert set(kinds(send(cluster))) == {Blocked}
    assert set(kinds(send(cluster, index="audit"))) == {Blocked}


def test_missing_rights_on_the_index_block(cluster: BulkReceiver) -> None:
    cluster.forbidden = frozenset({TARGET})
    assert set(kinds(send(cluster))) == {Blocked}


REQUESTS: list[tuple[str, dict[str, Any], type]] = [
    ("413", {}, Split),
    ("429", {"retry_after": "7"}, Retry),
    ("408", {}, Retry),
    ("500", {}, Retry),
    ("502", {}, Retry),
    ("503", {}, Retry),
    ("504", {}, Retry),
    ("401", {}, Blocked),
    ("403", {}, Blocked),
    ("404", {}, Blocked),
    ("405", {}, Blocked),
    ("406", {}, Blocked),
    ("415", {}, Blocked),
    ("501", {}, Blocked),
    ("301", {}, Blocked),
    ("400", {"says": "action_request_validation_exception"}, Rejected),
    ("400", {"says": "illegal_argument_exception"}, Blocked),
    ("422", {}, Rejected),
    ("202", {}, Ambiguous),
    ("299", {}, Ambiguous),
    ("html", {}, Ambiguous),
    ("truncated", {}, Ambiguous),
    ("cut", {}, Ambiguous),
    ("commit_then_cut", {}, Ambiguous),
    ("cut_before_commit", {}, Ambiguous),
]


@pytest.mark.parametrize(("fault", "how", "kind"), REQUESTS)
def test_a_request_is_judged_by_its_answer(cluster: BulkReceiver, fault: str, how: dict[str, Any], kind: type) -> None:
    cluster.faults.plan(fault, **how)
    outcome = send(cluster)
    assert isinstance(outcome, kind)
    if "retry_after" in how:
        assert isinstance(outcome, Retry)
        assert outcome.after_s == 7.0
        assert "simulated 429" in outcome.why


def test_an_answer_that_never_ends_is_given_up(cluster: BulkReceiver) -> None:
    cluster.faults.plan("endless")
    outcome = send(cluster, timeout_ms=500)
    assert isinstance(outcome, Ambiguous)
    assert set(kinds(send(cluster))) == {Duplicate}


def test_an_answer_that_comes_too_late_tells_nothing(cluster: BulkReceiver) -> None:
    cluster.faults.plan("slow", seconds=1.0)
    assert isinstance(send(cluster, timeout_ms=200), Ambiguous)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", Ambiguous),
        (200, b'{"took":1,"errors":false}', Ambiguous),
        (200, b'{"errors":false,"items":[{"create":{"status":201}}]}', Ambiguous),  # of ten
        (200, b'{"acknowledged":true}', Ambiguous),
        (400, b"<html>400 Bad Request</html>", Rejected),  # of something between: halves may pass
        (400, b"", Rejected),
        (413, b"", Split),
        (413, b"<html>413 Request Entity Too Large</html>", Split),
        (503, b"<html>503</html>", Retry),
        (200, b"\xff" * 100, Ambiguous),
    ],
)
@pytest.mark.parametrize("kind_of_cluster", sorted(RECEIVERS))
def test_what_no_cluster_says_is_judged_with_care(kind_of_cluster: str, status: int, body: bytes, kind: type) -> None:
    server = Server(lambda request: Response(status, body))
    cluster = RECEIVERS[kind_of_cluster]()
    try:
        assert isinstance(send(cluster, endpoint=server.url), kind)
    finally:
        cluster.close()
        server.close()


def test_a_cluster_that_is_not_there_has_got_nothing(cluster: BulkReceiver) -> None:
    cluster.close()
    assert isinstance(send(cluster), Retry)


def test_a_refusal_repeats_no_event_and_no_secret(cluster: BulkReceiver) -> None:
    said = "failed to parse field [detail] of type [long]. Preview of field's value: 'Zoë Ünal xxxxxxxxxxxx'"
    cluster.refuse_items(ItemRefusal(400, "mapper_parsing_exception", said), count=1)
    outcome = send(cluster)
    assert isinstance(outcome, PerItem)
    why = outcome.items[0].why  # type: ignore[union-attr]
    assert why.startswith("HTTP 400 Bad Request mapper_parsing_exception: failed to parse field [detail]")
    assert "xxxx" not in why
    assert "Zoë Ünal" not in why


def test_wrong_credentials_name_the_place_to_mend(cluster: BulkReceiver) -> None:
    cluster.authorizations = (basic("flicker", "right"),)
    outcome = send(cluster, auth={"type": "basic", "username": "flicker", "password": "wrong"})
    assert isinstance(outcome, Blocked)
    assert "HTTP 401" in outcome.why
    assert "siem.auth" in outcome.why


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
