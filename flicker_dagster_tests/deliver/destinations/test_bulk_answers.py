"""What the answers of a cluster stand for, for `type: elasticsearch` and `type: opensearch` alike."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, PerItem, Rejected, Retry, Split
from flicker_dagster.simulator.bulk_api import BulkReceiver, basic
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster_tests.deliver.destinations.clusters import RECEIVERS, TARGET, kinds, send


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
