"""What each answer of an HTTP endpoint stands for, and none."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Rejected, Retry
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations import outcome_rows
from flicker_dagster_tests.deliver.destinations.http_endpoints import send
from flicker_dagster_tests.deliver.destinations.outcome_rows import COMMON, PAGE, Row, table
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene


@table(
    *COMMON,
    Row(200, Delivered),
    Row(200, Delivered, PAGE),
    Row(200, Delivered, b'{"cut'),
    Row(201, Delivered),
    Row(202, Delivered),
    Row(204, Delivered),
    Row(207, Ambiguous),
    Row(206, Ambiguous, PAGE),
    Row(400, Rejected),
    Row(400, Rejected, '{"error": "no such field"}', says="no such field"),
    Row(400, Rejected, PAGE),
    Row(403, Blocked, says="credentials"),
    Row(409, Blocked),
)
def test_the_outcome_of_each_answer(answering: Answering, row: Row) -> None:
    outcome_rows.check(Scene("http", answering, {}, {}, {}), answering, row)


@pytest.mark.parametrize(("status", "outcome"), [(200, Ambiguous), (208, Delivered)])
def test_only_the_configured_statuses_are_a_success(siem: Answering, status: int, outcome: type) -> None:
    siem.says(status)
    assert isinstance(send(siem.url, success_status=[208]), outcome)


@pytest.mark.parametrize(
    ("rule", "body", "taken"),
    [
        ({"field": "success"}, b'{"success": true}', True),
        ({"field": "success"}, b'{"success": false}', False),
        ({"field": "success"}, b'{"success": 1}', False),
        ({"field": "success"}, b'{"success": "true"}', False),
        ({"field": "success"}, b"{}", False),
        ({"field": "success"}, b"", False),
        ({"field": "success"}, b'{"success": tr', False),
        ({"field": "success"}, PAGE, False),
        ({"field": "success"}, b"[" * 100_000, False),
        ({"field": "result.code", "equals": 0}, b'{"result": {"code": 0}}', True),
        ({"field": "result.code", "equals": 0}, b'{"result": {"code": false}}', False),
        ({"field": "result.code", "equals": 0}, b'{"result": {"code": 9, "text": "index is full"}}', False),
        ({"field": "status", "equals": "ok"}, b'{"status": "ok"}', True),
        ({"field": "status", "equals": "ok"}, b'{"status": "OK"}', False),
    ],
)
def test_a_good_status_counts_only_with_what_the_answer_must_hold(
    siem: Answering, rule: dict[str, Any], body: bytes, taken: bool
) -> None:
    siem.says(200, body)
    outcome = send(siem.url, accepted_when=rule)
    if taken:
        assert outcome == Delivered("HTTP 200 OK")
    else:
        assert isinstance(outcome, Retry)
        assert f"the answer's {rule['field']} is not {rule.get('equals', True)!r}" in outcome.why


def test_what_the_answer_must_hold_is_not_asked_of_a_refusal(siem: Answering) -> None:
    siem.says(400, b'{"success": true}')
    assert isinstance(send(siem.url, accepted_when={"field": "success"}), Rejected)


def test_nobody_there_is_a_retry() -> None:
    assert isinstance(send("http://127.0.0.1:1/siem"), Retry)


def test_no_word_of_a_refusal_holds_an_event(siem: Answering) -> None:
    siem.says(400, b'{"message": "bad value somebody.by.the.name@acme.example"}')
    lot = lot_of([event_of(1, actor="somebody.by.the.name@acme.example")])
    assert "somebody" not in send(siem.url, lot=lot).why
