"""The outcome tables of `_bulk`: items, and requests that were refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flicker_dagster.deliver.bulk.answers import (
    Error,
    Result,
    outcome_of_bad_request,
    outcome_of_item,
    outcome_of_items,
)
from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Rejected,
    Retry,
)

ITEMS: list[tuple[int, str | None, str, type]] = [
    (201, None, "", Delivered),
    (200, None, "", Delivered),
    (409, "version_conflict_engine_exception", "[x]: version conflict, document already exists", Duplicate),
    (409, "some_conflict_exception", "", Ambiguous),
    (429, "es_rejected_execution_exception", "rejected execution", Retry),
    (429, "rejected_execution_exception", "rejected execution", Retry),
    (429, "circuit_breaking_exception", "Data too large", Retry),
    (429, "cluster_block_exception", "disk usage exceeded flood-stage watermark", Retry),
    (429, None, "", Retry),
    (408, "timeout_exception", "", Retry),
    (503, "unavailable_shards_exception", "", Retry),
    (503, "cluster_block_exception", "no master", Retry),
    (500, "exception", "", Retry),
    (502, None, "", Retry),
    (503, "null_pointer_exception", "", Retry),
    (500, "null_pointer_exception", "Cannot invoke", Rejected),
    (500, "ingest_processor_exception", "", Rejected),
    (500, "class_cast_exception", "", Rejected),
    (400, "resource_already_exists_exception", "index [x] already exists", Retry),
    (400, "mapper_parsing_exception", "failed to parse field [a]", Rejected),
    (400, "document_parsing_exception", "[1:20] failed to parse field [a]", Rejected),
    (400, "strict_dynamic_mapping_exception", "", Rejected),
    (400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", Rejected),
    (400, "script_exception", "runtime error", Rejected),
    (400, "never_heard_of_exception", "", Rejected),
    (400, None, "", Rejected),
    (413, None, "", Rejected),
    (422, None, "", Rejected),
    (400, "illegal_argument_exception", "pipeline with id [geo] does not exist", Blocked),
    (400, "illegal_argument_exception", "no write index is defined for alias [a]", Blocked),
    (
        400,
        "illegal_argument_exception",
        "only write ops with an op_type of create are allowed in data streams",
        Blocked,
    ),
    (400, "invalid_index_name_exception", "Invalid index name [A], must be lowercase", Blocked),
    (400, "index_closed_exception", "closed", Blocked),
    (400, "validation_exception", "this action would add [2] shards", Blocked),
    (404, "index_not_found_exception", "no such index [x]", Blocked),
    (404, None, "", Blocked),
    (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)]", Blocked),
    (403, "security_exception", "action [indices:data/write/bulk[s]] is unauthorized", Blocked),
    (401, "security_exception", "", Blocked),
    (405, None, "", Blocked),
    (302, None, "", Ambiguous),
    (204, None, "", Ambiguous),
]


BAD = "HTTP 400 Bad Request"


def item(status: int, kind: str | None = None, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"status": status, **more} | ({} if kind is None else {"error": {"type": kind, "reason": reason}})


def judged(*items: dict[str, Any], uids: list[str] | None = None) -> Outcome | None:
    body = json.dumps({"errors": True, "items": [{"create": each} for each in items]}).encode()
    return outcome_of_items(body, uids or ["u"] * len(items), lambda _, words: words)


@pytest.mark.parametrize(("status", "kind", "reason", "outcome"), ITEMS)
def test_an_item_is_judged_by_status_and_type(status: int, kind: str | None, reason: str, outcome: type) -> None:
    found = judged(item(201), item(status, kind, reason))
    if outcome is Delivered:
        assert found == Delivered("HTTP 200 OK")
        return
    assert isinstance(found, PerItem)
    assert isinstance(found.items[0], Delivered)
    assert isinstance(found.items[1], outcome)


def test_a_refusal_says_status_type_and_reason() -> None:
    found = judged(item(400, "document_parsing_exception", "failed to parse field [a]"))
    assert found == PerItem(
        (Rejected("HTTP 400 Bad Request document_parsing_exception: failed to parse field [a]", BAD),), "HTTP 200 OK"
    )


def test_what_is_wrong_with_all_is_said_of_all_in_the_same_words() -> None:
    """Else a mapping that refuses everything would not be told from documents that are refused each for itself."""
    found = judged(
        item(400, "document_parsing_exception", "[1:310] failed to parse field [a] in document with id 'd1'. Preview"),
        item(400, "document_parsing_exception", "[1:28] failed to parse field [a] in document with id 'd2'. Preview"),
    )
    assert isinstance(found, PerItem)
    assert len(set(found.items)) == 1


def test_a_full_disk_says_what_to_do() -> None:
    found = judged(item(429, "cluster_block_exception", "flood"))
    assert isinstance(found, PerItem)
    assert isinstance(found.items[0], Retry)
    assert "free disk space" in found.items[0].why


@pytest.mark.parametrize("status", [400, 403, 429, 503])
def test_a_type_is_the_servers_text_and_shown_as_such(status: int) -> None:
    outcome = outcome_of_item(
        Result(status, error=Error("s3cret", "because")), lambda words: words.replace("s3cret", "***")
    )
    assert isinstance(outcome, Rejected | Blocked | Retry)
    assert "s3cret" not in outcome.why
    assert "***" in outcome.why


def test_an_error_may_be_a_mere_text() -> None:
    found = outcome_of_item(Result(400, error="no such thing"), lambda words: words)
    assert found == Rejected("HTTP 400 Bad Request: no such thing", BAD)


def test_a_document_in_the_failure_store_is_not_in_the_stream() -> None:
    found = judged(item(201, failure_store="used"), item(201, failure_store="not_applicable_or_unknown"))
    assert isinstance(found, PerItem)
    assert [type(each) for each in found.items] == [Rejected, Delivered]


@pytest.mark.parametrize("answered", [0, 1, 3])
def test_another_number_of_items_tells_nothing(answered: int) -> None:
    found = judged(*[item(201)] * answered, uids=["u", "u"])
    assert found == Ambiguous(f"{answered} items were answered, expected 2")


def test_an_answer_about_other_documents_tells_nothing() -> None:
    assert judged(item(201, _id="a"), item(201, _id="b"), uids=["a", "b"]) == Delivered("HTTP 200 OK")
    assert isinstance(judged(item(201, _id="b"), item(201, _id="a"), uids=["a", "b"]), Ambiguous)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b'{"errors":false,"items":[{"create":{"sta',
        b'{"took":1}',
        b'{"errors":false}',
        b'{"errors":"no","items":[]}',
        b'{"errors":false,"items":[{"index":{"status":201}}]}',
        b'{"errors":false,"items":[{"create":{"status":"201"}}]}',
        b'{"errors":true,"items":[{"create":{"status":-1}}]}',
        b'{"errors":true,"items":[{"create":{"status":%d}}]}' % 2**70,
        b"[]",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_bulk_is_none(body: bytes) -> None:
    assert outcome_of_items(body, ["u"], lambda _, words: words) is None


def refused(kind: str, reason: str = "because") -> bytes:
    error = {"type": kind, "reason": reason}
    return json.dumps({"error": {"root_cause": [error], **error}, "status": 400}).encode()


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (refused("action_request_validation_exception", "Validation Failed: 1: id is too long"), Rejected),
        (refused("illegal_argument_exception", "request [/_bulk] contains unrecognized parameter: [x]"), Blocked),
        (refused("invalid_index_name_exception"), Blocked),
        (refused("never_heard_of_exception"), Blocked),
        (b'{"error":"no handler found for uri [/x/_bulk]"}', Blocked),
        (b"<html>400 Bad Request</html>", None),
        (b'{"message":"Bad Request"}', None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_a_refused_request_is_of_the_configuration_unless_the_server_names_an_action(
    body: bytes, outcome: type | None
) -> None:
    found = outcome_of_bad_request(body, lambda _, words: words)
    assert found is None if outcome is None else isinstance(found, outcome)
