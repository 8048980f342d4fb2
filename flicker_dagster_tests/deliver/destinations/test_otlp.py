"""OTLP/HTTP logs: what arrives, what each answer stands for, and a lane of it under faults."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from flicker_dagster.config.auth import BearerAuth
from flicker_dagster.config.destinations.otlp import OtlpDestination
from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.otlp import Otlp
from flicker_dagster.deliver.encoders.otlp import to_json, to_protobuf
from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Outcome,
    PerItem,
    Rejected,
    Retry,
    Split,
)
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.otlp import JSON, PROTOBUF, OtlpReceiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, event_of, lot_of, lots_of

SURROGATE = b'{"id":"s","agent":"cut \\ud83d here"}'
HOSTILE = [
    SURROGATE,
    b'{"id":"n","n":1.10,"big":123456789012345678901234567890}',
    b'{"id":"u","text":"\xf0\x9f\x98\x80"}',
]
NOT_UTF8 = b'{"id":"x","raw":"\xff\xfe"}'

encodings = pytest.mark.parametrize("encoding", ["protobuf", "json"])


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver(token="t0ken-value")
    yield receiver
    receiver.close()


def opened(url: str, *, token: str = "t0ken-value", masker: Masker | None = None, **changes: Any) -> Otlp:
    config = OtlpDestination(
        type="otlp",
        endpoint=f"{url}/v1/logs",
        auth=BearerAuth(type="bearer", token="${TOKEN}"),
        **{"timeout_ms": 5_000} | changes,
    )
    context = LaneContext(stream="okta", env={"TOKEN": token}, masker=masker or Masker([]))
    return Otlp(config, context)


def send(lot: Lot, url: str, **changes: Any) -> Outcome:
    destination = opened(url, **changes)
    try:
        return destination.send(lot)
    finally:
        destination.close()


# -- what is sent


@encodings
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_events_arrive_byte_for_byte_with_id_and_times(
    collector: OtlpReceiver, encoding: str, compression: str
) -> None:
    lot = lot_of([*HOSTILE, event_of(1)], times_ms=[NOW_MS - 5, None, -1, 2**62])
    assert send(lot, collector.url, encoding=encoding, compression=compression) == Delivered("HTTP 200 OK")
    assert [stored.event.encode() for stored in collector.stored] == lot.events
    assert [stored.uid for stored in collector.stored] == lot.uids
    assert [stored.beside["time_ns"] for stored in collector.stored] == [(NOW_MS - 5) * 1_000_000, 0, 0, 0]
    assert {stored.beside["observed_ns"] for stored in collector.stored} == {NOW_MS * 1_000_000}
    assert collector.stored[0].beside["resource"] == {
        "service.name": "flicker",
        "flicker.stream": "okta",
        "flicker.schema": "vendor",
    }
    assert collector.stored[0].beside["scope"] == "okta"


@encodings
def test_bytes_that_are_no_utf8_arrive_as_bytes(collector: OtlpReceiver, encoding: str) -> None:
    lot = lot_of([SURROGATE, NOT_UTF8])
    assert isinstance(send(lot, collector.url, encoding=encoding), Delivered)
    assert [stored.event for stored in collector.stored] == [SURROGATE.decode(), NOT_UTF8]


def test_the_protobuf_is_what_an_independent_decoder_reads_and_would_write() -> None:
    lot = lot_of([*HOSTILE, NOT_UTF8, event_of(1, detail="y" * 70_000)], times_ms=[1, None, NOW_MS, 2, 3])
    body = to_protobuf(lot, resource={"service.name": "flicker", "team": "sécurité"})
    read = ExportLogsServiceRequest.FromString(body)
    assert read.SerializeToString(deterministic=True) == body
    (group,) = read.resource_logs
    assert {each.key: each.value.string_value for each in group.resource.attributes} == {
        "service.name": "flicker",
        "team": "sécurité",
    }
    (scoped,) = group.scope_logs
    assert scoped.scope.name == "okta"
    bodies = [r.body.bytes_value or r.body.string_value.encode() for r in scoped.log_records]
    assert bodies == lot.events
    assert [r.time_unix_nano for r in scoped.log_records] == [1_000_000, 0, NOW_MS * 1_000_000, 2_000_000, 3_000_000]
    assert [r.attributes[0].value.string_value for r in scoped.log_records] == lot.uids


def test_the_json_says_the_same_as_the_protobuf() -> None:
    from google.protobuf.json_format import Parse

    lot = lot_of([*HOSTILE, NOT_UTF8], times_ms=[1, None, NOW_MS, -3])
    resource = {"service.name": "flicker"}
    read = Parse(to_json(lot, resource=resource), ExportLogsServiceRequest())
    assert read == ExportLogsServiceRequest.FromString(to_protobuf(lot, resource=resource))


def test_the_same_lot_is_the_same_request_and_another_form_another() -> None:
    seen: list[Request] = []
    server = Server(lambda request: seen.append(request) or Response(200, b"", []))
    lot = lot_of([event_of(1), event_of(2)])
    try:
        for changes in (
            {},
            {},
            {"encoding": "json"},
            {"resource_attributes": {"env": "prod"}},
            {"compression": "none"},
        ):
            send(lot, server.url, **changes)
        send(lot.part([1]), server.url)
    finally:
        server.close()
    keys = [request.headers["idempotency-key"] for request in seen]
    assert keys[0] == keys[1]
    assert seen[0].body == seen[1].body
    assert len(set(keys)) == 5
    assert seen[0].headers["content-type"] == "application/x-protobuf"
    assert seen[2].headers["content-type"] == "application/json"
    assert gzip.decompress(seen[0].body) == seen[4].body


@encodings
def test_a_body_over_the_limit_is_not_sent(collector: OtlpReceiver, encoding: str) -> None:
    assert isinstance(send(lot_of([event_of(1)] * 3), collector.url, encoding=encoding, max_batch_bytes=900), Split)
    assert collector.requests == 0


# -- what comes back


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


def _words(outcome: Outcome) -> str:
    if isinstance(outcome, PerItem):
        assert len(set(outcome.items)) == 1
        return _words(outcome.items[0])
    return getattr(outcome, "why", "") or outcome.status  # type: ignore[union-attr]


@pytest.mark.parametrize(("status", "kind", "body", "expected", "words"), ANSWERS)
def test_what_an_answer_stands_for(status: int, kind: str, body: bytes, expected: type, words: str) -> None:
    server = Server(lambda _: Response(status, body, [("Content-Type", kind)] if kind else []))
    try:
        outcome = send(lot_of([event_of(1), event_of(2)]), server.url)
    finally:
        server.close()
    assert isinstance(outcome, expected)
    assert words in _words(outcome)


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
def test_faults_of_the_way(collector: OtlpReceiver, fault: str, expected: type) -> None:
    collector.faults.plan(fault)
    assert isinstance(send(lot_of([event_of(1)]), collector.url), expected)


def test_an_answer_that_is_cut_off_is_ambiguous(collector: OtlpReceiver) -> None:
    collector.warning = "w" * 200
    collector.faults.plan("cut")
    assert isinstance(send(lot_of([event_of(1)]), collector.url), Ambiguous)


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


# -- a lane of it


@encodings
def test_a_quarter_of_the_requests_committed_and_never_answered(collector: OtlpReceiver, encoding: str) -> None:
    collector.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(1_000, size=20)
    drained = drain(MemoryQueue(lots), lambda: opened(collector.url, encoding=encoding), runs=50)
    assert drained.done
    assert drained.delivered == 1_000
    assert set(collector.counts()) == {uid for lot in lots for uid in lot.uids}, "the same ids however often they come"
    repeated = sum(collector.counts().values()) - 1_000
    assert 0 < repeated == 20 * (len(collector.keys) - len(set(collector.keys))), (
        "whole requests under the same key only"
    )


def test_a_wrong_token_keeps_everything_until_it_is_mended(collector: OtlpReceiver) -> None:
    queue = MemoryQueue(lots_of(300))
    before = drain(queue, lambda: opened(collector.url, token="old"), runs=3)
    assert queue.waiting == 300
    assert before.dead == 0
    assert "HTTP 401" in before.last_words
    assert drain(queue, lambda: opened(collector.url)).done
    assert set(collector.counts().values()) == {1}
    assert len(collector.stored) == 300


@pytest.mark.parametrize("limit", [20_000, 60_000])
def test_too_large_is_halved_down_to_the_one_guilty_event(limit: int) -> None:
    collector = OtlpReceiver(token="t0ken-value", max_bytes=limit)
    guilty = 137
    lots = lots_of(200, make=lambda n: event_of(n, detail="x" * (limit if n == guilty else 10)))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url), runs=3)
        assert drained.done
        assert (drained.delivered, drained.dead) == (199, 1)
        assert json.loads(drained.letters.kept[0].event)["id"] == f"e{guilty:06d}"
        assert set(collector.counts().values()) == {1}
    finally:
        collector.close()


def test_ten_thousand_events_of_which_one_in_a_hundred_is_poison() -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="p0ison")
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n, **({"bad": "p0ison"} if n % 100 == 7 else {})))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url), runs=3)
        assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
        assert set(collector.counts().values()) == {1}
        assert len(collector.stored) == 9_900
    finally:
        collector.close()


@encodings
def test_a_partial_success_repeats_nothing_and_keeps_all_it_may_have_cost(encoding: str) -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="p0ison", poison_is_partial=True)
    lots = lots_of(300, make=lambda n: event_of(n, **({"bad": "p0ison"} if n == 7 else {})))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url, encoding=encoding), runs=3)
        assert drained.done
        assert (drained.delivered, drained.dead) == (200, 100)
        assert set(collector.counts().values()) == {1}
        assert len(collector.stored) == 299
        assert "1 of 100 records were refused" in drained.letters.kept[0].reason
    finally:
        collector.close()


def test_a_partial_success_can_be_sent_again_until_the_guilty_stand_alone() -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="p0ison", poison_is_partial=True)
    lots = lots_of(300, make=lambda n: event_of(n, **({"bad": "p0ison"} if n == 7 else {})))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url, partial_success="resend"), runs=3)
        assert (drained.delivered, drained.dead, drained.done) == (299, 1, True)
        assert len(collector.counts()) == 299
    finally:
        collector.close()


def test_a_backend_that_refuses_everything_costs_no_event() -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="action")
    queue = MemoryQueue(lots_of(300))
    try:
        drained = drain(queue, lambda: opened(collector.url), runs=3)
        assert (drained.dead, queue.waiting) == (0, 300)
        assert "every event, in the same words" in drained.last_words
    finally:
        collector.close()
