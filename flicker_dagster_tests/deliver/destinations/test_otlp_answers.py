"""What each answer of an OTLP collector stands for."""

from __future__ import annotations

import json

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, PerItem, Rejected, Retry, Split
from flicker_dagster.simulator.receivers.otlp import JSON, PROTOBUF, OtlpReceiver
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.otlp_lanes import send
from flicker_dagster_tests.deliver.destinations.outcome_rows import words_of


def _protobuf_answer(rejected: int, message: str) -> bytes:
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    return ExportLogsServiceResponse(partial_success=partial).SerializeToString()


def _json_answer(rejected: object, message: str = "") -> bytes:
    return json.dumps({"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": message}}).encode()


def _status(message: str) -> bytes:
    return Status(code=3, message=message).SerializeToString()


HTML = b"<html><body>Sign in</body></html>"


ANSWERS = [
    # status, type, body, outcome of two events, words
    (200, PROTOBUF, b"", Delivered, "HTTP 200 OK"),
    (200, PROTOBUF, b"\x0a\x00", Delivered, "HTTP 200 OK"),
    (200, PROTOBUF, _protobuf_answer(0, "slow down"), Delivered, "with a warning: slow down"),
    (200, PROTOBUF, _protobuf_answer(1, "bad"), PerItem, "1 of 2 records were refused, not said which: bad"),
    (200, PROTOBUF, _protobuf_answer(2, "bad"), Rejected, "HTTP 200 OK: bad"),
    (200, PROTOBUF, _protobuf_answer(7, ""), Rejected, "refused without a word"),
    (200, PROTOBUF, _protobuf_answer(1, "bad")[:-2], Blocked, "cut off, or none"),
    (200, PROTOBUF, b"\x0a\xff\xff", Blocked, "cut off, or none"),
    (200, PROTOBUF, _protobuf_answer(-1, ""), Blocked, "negative"),
    (200, PROTOBUF, HTML, Blocked, "HTML"),
    (200, JSON, b"", Delivered, "HTTP 200 OK"),
    (200, JSON, b"{}", Delivered, "HTTP 200 OK"),
    (200, f"{JSON}; charset=utf-8", b'{"partialSuccess":{}}', Delivered, "HTTP 200 OK"),
    (200, JSON, b'{"partialSuccess":null,"later":1}', Delivered, "HTTP 200 OK"),
    (200, JSON, _json_answer("0", "slow down"), Delivered, "with a warning: slow down"),
    (200, JSON, _json_answer("1", "bad"), PerItem, "1 of 2 records were refused"),
    (200, JSON, _json_answer(1, "bad"), PerItem, "1 of 2 records were refused"),
    (200, JSON, _json_answer("2"), Rejected, "refused without a word"),
    (200, JSON, _json_answer("some"), Blocked, "no number of records"),
    (200, JSON, b'{"partialSuccess":{"rejectedLogRecords":1e999}}', Blocked, "no number of records"),
    (200, JSON, b'{"partialSuccess":[1]}', Blocked, "no object"),
    (200, JSON, b"[]", Blocked, "no JSON object"),
    (200, JSON, b'{"partialSuccess":', Blocked, "no JSON"),
    (200, "text/html", HTML, Blocked, "text/html"),
    (200, "text/plain", b"ok", Blocked, "text/plain"),
    (202, "text/plain", b"", Delivered, "HTTP 202 Accepted"),
    (204, "", b"", Delivered, "HTTP 204 No Content"),
    (207, JSON, b"{}", Ambiguous, "HTTP 207"),
    (301, "text/html", HTML, Blocked, "HTTP 301"),
    (400, PROTOBUF, _status("a record is bad"), Rejected, "a record is bad"),
    (400, JSON, b'{"code":3,"message":"a record is bad"}', Rejected, "a record is bad"),
    (400, PROTOBUF, b"\xff\xff\xff", Rejected, "HTTP 400"),
    (400, "text/plain", b"", Rejected, "HTTP 400"),
    (400, JSON, b'{"code":3,"message":"http: request body too large"}', Split, "too large"),
    (400, PROTOBUF, _status("http: request body too large"), Split, "too large"),
    (413, "", b"", Split, "HTTP 413"),
    (422, JSON, b'{"message":"no"}', Rejected, "no"),
    (401, PROTOBUF, _status("who are you"), Blocked, "who are you (credentials: its credentials)"),
    (403, JSON, b"{}", Blocked, "HTTP 403"),
    (404, "text/plain", b"404 page not found", Blocked, "HTTP 404"),
    (405, "", b"", Blocked, "HTTP 405"),
    (415, "text/plain", b"unsupported media type", Blocked, "HTTP 415"),
    (418, "", b"", Blocked, "HTTP 418"),
    (408, "", b"", Retry, "HTTP 408"),
    (429, PROTOBUF, _status("too many"), Retry, "too many"),
    (500, "text/html", HTML, Retry, "HTTP 500"),
    (501, "", b"", Blocked, "HTTP 501"),
    (502, "text/html", HTML, Retry, "HTTP 502"),
    (503, JSON, b'{"code":14,"message":"busy"}', Retry, "busy"),
    (504, "", b"", Retry, "HTTP 504"),
    (599, "", b"", Retry, "HTTP 599"),
]


@pytest.mark.parametrize(("status", "kind", "body", "expected", "words"), ANSWERS)
def test_what_an_answer_stands_for(status: int, kind: str, body: bytes, expected: type, words: str) -> None:
    server = Server(lambda _: Response(status, body, [("Content-Type", kind)] if kind else []))
    try:
        outcome = send(lot_of([event_of(1), event_of(2)]), server.url)
    finally:
        server.close()
    assert isinstance(outcome, expected)
    assert words in words_of(outcome)


def test_a_wait_that_is_asked_for_is_heeded() -> None:
    server = Server(lambda _: Response(503, b"", [("Retry-After", "7")]))
    try:
        outcome = send(lot_of([event_of(1)]), server.url)
    finally:
        server.close()
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 7


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("commit_then_cut", Ambiguous), ("cut_before_commit", Ambiguous), ("truncated", Blocked), ("html", Blocked)],
)
def test_faults_of_the_way(otlp: OtlpReceiver, fault: str, expected: type) -> None:
    otlp.faults.plan(fault)
    assert isinstance(send(lot_of([event_of(1)]), otlp.url), expected)


def test_an_answer_that_is_cut_off_is_ambiguous(otlp: OtlpReceiver) -> None:
    otlp.warning = "w" * 200
    otlp.faults.plan("cut")
    assert isinstance(send(lot_of([event_of(1)]), otlp.url), Ambiguous)


def test_nobody_there_is_a_retry() -> None:
    assert isinstance(send(lot_of([event_of(1)]), "http://127.0.0.1:1"), Retry)


def test_neither_secrets_nor_events_are_repeated_in_a_reason() -> None:
    event = event_of(1, detail="a very private remark")
    says = f"bad record {event.decode()} for t0ken-value".encode()
    server = Server(
        lambda _: Response(400, Status(code=3, message=says.decode()).SerializeToString(), [("Content-Type", PROTOBUF)])
    )
    try:
        outcome = send(lot_of([event]), server.url, masker=Masker(["t0ken-value"]))
    finally:
        server.close()
    assert isinstance(outcome, Rejected)
    assert "bad record" in outcome.why
    assert "t0ken" not in outcome.why
    assert "private" not in outcome.why


def test_a_backend_that_answers_in_words_of_its_own_can_be_allowed_to() -> None:
    server = Server(lambda _: Response(200, b"ok", [("Content-Type", "text/plain")]))
    try:
        assert isinstance(send(lot_of([event_of(1)]), server.url, check_answer=False), Delivered)
    finally:
        server.close()
