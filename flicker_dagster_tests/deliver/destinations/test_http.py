"""Any HTTP endpoint: what is sent, what each answer stands for, and that every event is there once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.deliver.encoders.json_array import JsonArray
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Rejected, Retry
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations import outcome_rows
from flicker_dagster_tests.deliver.destinations.outcome_rows import COMMON, PAGE, Row, table
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, opened
from flicker_dagster_tests.proxies import VARIABLES, Proxy
from flicker_dagster_tests.tls import Authority

LOT = lot_of([b'{"id":"a","n":1.10}', b'{"id":"b"}'])
ARRAY = b'[{"id":"a","n":1.10},{"id":"b"}]'


def siem_at(url: str, *, env: dict[str, str] | None = None, stream: str = "okta", **keys: Any) -> Destination:
    return opened({"type": "http", "endpoint": url, **keys}, env=env, stream=stream)


def send(url: str, env: dict[str, str] | None = None, *, lot: Lot = LOT, **keys: Any) -> Any:
    with closing(siem_at(url, env=env, **keys)) as destination:
        return destination.send(lot)


@pytest.fixture
def siem(answering: Answering) -> Answering:
    answering.says(200, b'{"ok": true}')
    answering.requests.clear()
    return answering


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def body_of(request: Request) -> bytes:
    return igzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body


# -- what is sent


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "${T}"}, "authorization", "Bearer s3cret-value"),
        ({"type": "basic", "username": "u", "password": "${T}"}, "authorization", "Basic dTpzM2NyZXQtdmFsdWU="),
        ({"type": "header", "name": "X-Key", "value": "${T}"}, "x-key", "s3cret-value"),
    ],
)
def test_credentials_stand_where_they_belong(siem: Answering, auth: Any, header: str, value: str) -> None:
    assert isinstance(send(siem.url, {"T": "s3cret-value"}, auth=auth), Delivered)
    assert siem.requests[0].headers[header] == value


@pytest.mark.parametrize(
    ("keys", "header", "value"),
    [
        ({"api_key": "${T}"}, "authorization", "Bearer s3cret-value"),
        ({"basic": {"username": "u", "password": "${T}"}}, "authorization", "Basic dTpzM2NyZXQtdmFsdWU="),
        ({"headers": {"X-Key": "${T}"}}, "x-key", "s3cret-value"),
    ],
)
def test_original_spellings_of_credentials_count(
    siem: Answering, keys: dict[str, Any], header: str, value: str
) -> None:
    assert isinstance(send(siem.url, {"T": "s3cret-value"}, **keys), Delivered)
    assert siem.requests[0].headers[header] == value


@pytest.mark.parametrize(("compression", "packed"), [("gzip", True), (True, True), ("none", False), (False, False)])
def test_the_vendors_bytes_go_out_as_an_array_under_the_lots_name(
    siem: Answering, compression: Any, packed: bool
) -> None:
    assert send(siem.url, compression=compression) == Delivered("HTTP 200 OK")
    (request,) = siem.requests
    assert body_of(request) == ARRAY
    assert (request.headers.get("content-encoding") == "gzip") is packed
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-event-count"] == "2"
    assert re.fullmatch("[0-9a-f]{32}", request.headers["idempotency-key"])


def test_what_the_spool_holds_packed_goes_out_as_it_is(siem: Answering) -> None:
    packed = igzip.compress(ARRAY, 3, mtime=0)
    stored = Lot(
        seq=0,
        lot_id=LOT.lot_id,
        source=LOT.source,
        collected_ms=LOT.collected_ms,
        array=lambda: pytest.fail("it was unpacked"),
        lengths=[19, 10],
        digests=LOT.digests,
        times_ms=LOT.times_ms,
        packed=packed,
    )
    send(siem.url, lot=stored, compression="gzip")
    assert siem.requests[0].body == packed


FORMATS: list[tuple[dict[str, Any], str]] = [
    ({}, "application/json"),
    ({"format": "ndjson"}, "application/x-ndjson"),
    ({"format": "envelope"}, "application/json"),
    ({"wrapper_key": "records"}, "application/json"),
    ({"wrapper_key": "records", "format": "envelope"}, "application/json"),
]


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(("keys", "content_type"), FORMATS)
def test_every_format_holds_the_vendors_bytes(
    siem: Answering, keys: dict[str, Any], content_type: str, compression: str
) -> None:
    assert isinstance(send(siem.url, compression=compression, **keys), Delivered)
    (request,) = siem.requests
    body = body_of(request)
    assert request.headers["content-type"] == content_type
    assert b'{"id":"a","n":1.10}' in body
    if keys.get("format") == "ndjson":
        assert body == b'{"id":"a","n":1.10}\n{"id":"b"}\n'
        return
    whole = json.loads(body)
    events = whole["records"] if "wrapper_key" in keys else whole
    assert "wrapper_key" not in keys or whole.keys() == {"records"}
    assert len(events) == 2
    if keys.get("format") == "envelope":
        assert [event["event"]["id"] for event in events] == ["a", "b"]


def test_no_two_bodies_share_a_name_and_the_same_body_always_has_the_same(siem: Answering) -> None:
    parts = [LOT, LOT.part([0]), LOT.part([1])]
    for _ in range(2):
        for keys, _type in FORMATS:
            for compression in ("none", "gzip"):
                for part in parts:
                    send(siem.url, lot=part, compression=compression, **keys)
    by_key: dict[str, set[bytes]] = {}
    for request in siem.requests:
        by_key.setdefault(request.headers["idempotency-key"], set()).add(request.body)
    assert all(len(bodies) == 1 for bodies in by_key.values())
    assert len(by_key) == len(siem.requests) / 2 == len(FORMATS) * 2 * len(parts)


def test_the_header_that_names_a_request_can_be_called_otherwise(siem: Answering) -> None:
    send(siem.url, key_header="X-Request-Id")
    headers = siem.requests[0].headers
    assert headers["x-request-id"] == LOT.key(JsonArray().encoding)
    assert "idempotency-key" not in headers


@pytest.mark.parametrize(("encoding", "algorithm"), [("hex", "sha256"), ("base64", "sha512"), ("hex", "sha1")])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_hash_is_of_the_body_as_it_is_sent_and_stands_beside_the_credentials(
    siem: Answering, encoding: str, algorithm: str, compression: str
) -> None:
    record = {
        "header": "X-Signature",
        "secret": "${S}",
        "prefix": "v1=",
        "encoding": encoding,
        "algorithm": algorithm,
    }
    send(
        siem.url,
        {"S": "hash-secret", "T": "s3cret-value"},
        hmac=record,
        auth={"type": "bearer", "token": "${T}"},
        compression=compression,
        format="ndjson",
    )
    (request,) = siem.requests
    digest = hmac.digest(b"hash-secret", request.body, getattr(hashlib, algorithm))
    shown = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    assert request.headers["x-signature"] == f"v1={shown}"
    assert request.headers["authorization"] == "Bearer s3cret-value"


def test_configured_headers_go_along_and_what_describes_the_body_is_ours(siem: Answering) -> None:
    theirs = {
        "X-Gateway": "${G}",
        "content-type": "application/vnd.acme+json",
        "content-encoding": "br",
        "idempotency-key": "always-the-same",
        "x-event-count": "7",
    }
    send(siem.url, {"G": "gateway-key"}, headers=theirs, compression="gzip")
    names = [name.lower() for name, _ in siem.requests[0].headers.items()]
    assert len(names) == len(set(names)), "no header stands there twice"
    headers = siem.requests[0].headers
    assert headers["x-gateway"] == "gateway-key"
    assert headers["content-type"] == "application/vnd.acme+json"
    assert headers["content-encoding"] == "gzip"
    assert headers["idempotency-key"] == LOT.key(f"{JsonArray().encoding} gzip")
    assert headers["x-event-count"] == "2"


# -- before anything is sent


def test_opening_it_resolves_nothing_and_asks_nobody(siem: Answering) -> None:
    with closing(siem_at(siem.url, auth={"type": "bearer", "token": "${NOT_THERE}"})) as destination:
        assert destination.describe() == siem.url
        assert destination.unfit(LOT) == {}
        with pytest.raises(SecretUnset):
            destination.send(LOT)
    assert siem.requests == []


def test_an_event_that_would_end_its_line_is_never_sent_as_lines() -> None:
    broken = lot_of([b'{"id":"a","text":"one\ntwo"}', b'{"id":\n"b"}'])
    with closing(siem_at("http://127.0.0.1:1", format="ndjson")) as destination:
        assert list(destination.unfit(broken)) == [0]
    with closing(siem_at("http://127.0.0.1:1")) as destination:
        assert destination.unfit(broken) == {}


def test_auth_that_is_required_and_not_there_blocks(siem: Answering) -> None:
    record = destination_adapter().validate_python({"type": "http", "endpoint": siem.url, "require_auth": True})
    with (
        closing(open_destination(record, LaneContext("okta", env={}))) as destination,
        pytest.raises(DestinationBlocked, match="require_auth is on and no auth is configured"),
    ):
        destination.send(LOT)
    assert siem.requests == []
    send(siem.url, require_auth=True, headers={"authorization": "Custom abc"})
    assert siem.requests[0].headers["authorization"] == "Custom abc"


@pytest.mark.parametrize("secret", ["hunter22secret\nX-Evil: 1", "hunter22secret\u20ac"])
def test_a_token_that_fits_no_header_blocks_and_is_not_shown(siem: Answering, secret: str) -> None:
    found = send(siem.url, {"T": secret}, auth={"type": "bearer", "token": "${T}"})
    assert isinstance(found, Blocked)
    assert "hunter22secret" not in found.why
    assert siem.requests == []


def test_a_wrapper_around_lines_is_refused_in_the_configuration() -> None:
    record = destination_adapter().validate_python(
        {"type": "http", "endpoint": "http://siem", "format": "ndjson", "wrapper_key": "records"}
    )
    assert [key for key, _ in record.all_faults()] == ["wrapper_key"]


# -- answers


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


def test_an_answer_that_never_comes_is_ambiguous_and_the_same_bytes_go_again(receiver: Receiver) -> None:
    receiver.dedupe_by_key = True
    receiver.faults.plan("commit_then_cut")
    assert isinstance(send(f"{receiver.url}/siem"), Ambiguous)
    assert isinstance(send(f"{receiver.url}/siem"), Delivered)
    assert receiver.ids("/siem") == {"a": 1, "b": 1}
    assert receiver.inbox("/siem").repeated_otherwise == 0


def test_no_word_of_a_refusal_holds_an_event(siem: Answering) -> None:
    siem.says(400, b'{"message": "bad value somebody.by.the.name@acme.example"}')
    lot = lot_of([event_of(1, actor="somebody.by.the.name@acme.example")])
    assert "somebody" not in send(siem.url, lot=lot).why


# -- TLS and proxies


@pytest.fixture
def own_server() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.server.close()


def test_tls_trusts_the_configured_authority_and_shows_the_client_certificate(
    own_server: Answering, tmp_path: Path
) -> None:
    ours, other = Authority.in_directory(tmp_path), Authority.in_directory(tmp_path, "other")
    url = ours.protect(own_server.server, demand_client=True)
    client = {"cert_path": ours.client_cert_path, "key_path": ours.client_key_path}
    assert isinstance(send(url, tls={"ca_cert_path": ours.ca_path, **client}), Delivered)
    assert isinstance(send(url, tls={"ca_cert_path": other.ca_path, **client}), Blocked)
    assert not isinstance(send(url, tls={"ca_cert_path": ours.ca_path}), Delivered)
    assert len(own_server.requests) == 1


@pytest.mark.parametrize("tls", [{"ca_cert_path": "gone.pem"}, {"cert_path": "gone.pem", "key_path": "gone.key"}])
def test_a_certificate_file_that_is_not_there_blocks(
    own_server: Answering, tmp_path: Path, tls: dict[str, str]
) -> None:
    url = Authority.in_directory(tmp_path).protect(own_server.server)
    paths = {name: str(tmp_path / file) for name, file in tls.items()}
    with pytest.raises(DestinationBlocked, match=r"okta: destination: tls: cannot read .*gone"):
        send(url, tls=paths)
    assert own_server.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_gone_through_with_its_credentials(
    own_server: Answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    authority = Authority.in_directory(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    url = authority.protect(own_server.server) if scheme == "https" else "http://siem.invalid/in"
    proxy = Proxy(b"{}", tunnel_to=own_server.server.port)
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("//", "//ana:p%40ss@"))
    with closing(proxy):
        assert isinstance(send(url, tls={"ca_cert_path": authority.ca_path}), Delivered)
        assert proxy.seen == [f"127.0.0.1:{own_server.server.port}" if scheme == "https" else url]
        assert proxy.credentials == ["Basic YW5hOnBAc3M="]  # ana:p@ss


@pytest.mark.parametrize(
    "proxy", ["http://ana:hunter22secret@", "http://ana:hunter22secret@host:port", "ftp://ana:hunter22secret@h:1"]
)
def test_a_proxy_that_cannot_be_used_blocks_and_its_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(DestinationBlocked, match=r"^okta: destination: .*[Pp]roxy.*; check its endpoint") as caught:
        send("http://siem.invalid/in")
    assert "hunter22secret" not in str(caught.value)


# -- the contract


def ids(count: int) -> dict[str, int]:
    return {f"e{number:06d}": 1 for number in range(count)}


@pytest.mark.parametrize("keys", [{}, {"format": "ndjson"}, {"compression": "gzip"}])
def test_answers_that_are_lost_cost_nothing_where_the_key_is_heeded(receiver: Receiver, keys: dict[str, Any]) -> None:
    receiver.dedupe_by_key = True
    receiver.faults.plan("commit_then_cut", count=None, share=0.25)
    drained = drain(MemoryQueue(lots_of(600, size=20)), lambda: siem_at(f"{receiver.url}/siem", **keys), runs=200)
    assert (drained.done, drained.delivered, drained.dead) == (True, 600, 0)
    assert receiver.ids("/siem") == ids(600)
    inbox = receiver.inbox("/siem")
    assert inbox.repeated_batches > 0
    assert inbox.repeated_otherwise == 0


def test_credentials_that_are_refused_keep_everything_until_they_are_put_right(receiver: Receiver) -> None:
    receiver.token = "the-new-token"
    env = {"T": "the-old-token"}

    def open_one() -> Destination:
        return siem_at(f"{receiver.url}/siem", env=dict(env), auth={"type": "bearer", "token": "${T}"})

    queue = MemoryQueue(lots_of(300))
    drained = drain(queue, open_one, runs=3)
    assert (queue.waiting, drained.dead, receiver.ids("/siem")) == (300, 0, {})
    assert re.search(r"the SIEM refuses: HTTP 401.*everything waits in the spool", drained.last_words)
    assert "the-old-token" not in drained.last_words
    env["T"] = "the-new-token"
    assert drain(queue, open_one).done
    assert receiver.ids("/siem") == ids(300)


def test_what_is_too_large_is_cut_down_to_the_one_event_that_is(receiver: Receiver) -> None:
    receiver.max_bytes = 20_000

    def make(number: int) -> bytes:
        return event_of(number, detail="x" * 30_000) if number == 61 else event_of(number)

    drained = drain(MemoryQueue(lots_of(150, size=50, make=make)), lambda: siem_at(f"{receiver.url}/siem"))
    assert (drained.done, drained.delivered, drained.dead) == (True, 149, 1)
    assert drained.letters.kept[0].event == make(61)
    assert receiver.ids("/siem") == {id_: 1 for id_ in ids(150) if id_ != "e000061"}


@pytest.mark.parametrize("form", ["json", "ndjson", "envelope"])
def test_one_event_in_a_hundred_that_is_refused_costs_itself_alone(receiver: Receiver, form: str) -> None:
    receiver.poison = "poison"

    def make(number: int) -> bytes:
        return event_of(number, what="poison") if number % 1_000 in range(500, 510) else event_of(number)

    lots = lots_of(10_000, size=400, make=make)
    drained = drain(MemoryQueue(lots), lambda: siem_at(f"{receiver.url}/siem", format=form))
    assert (drained.done, drained.delivered, drained.dead) == (True, 9_900, 100)
    assert all(b"poison" in letter.event for letter in drained.letters.kept)
    assert len(receiver.ids("/siem")) == sum(receiver.ids("/siem").values()) == 9_900


def test_requests_are_cut_to_the_configured_size(receiver: Receiver) -> None:
    receiver.max_bytes = 5_000
    drained = drain(MemoryQueue(lots_of(200, size=100)), lambda: siem_at(f"{receiver.url}/siem", max_batch_bytes=5_000))
    assert (drained.done, drained.delivered) == (True, 200)
    assert drained.reports[0].statuses.keys() == {"HTTP 200 OK"}, "nothing was sent to be refused"
    assert receiver.ids("/siem") == ids(200)


def test_a_server_that_takes_little_and_fails_often_gets_each_event_once(receiver: Receiver) -> None:
    receiver.max_bytes = 20_000
    receiver.faults.plan("500", count=None, share=0.2)
    drained = drain(MemoryQueue(lots_of(600, size=150)), lambda: siem_at(f"{receiver.url}/siem"), runs=100)
    assert (drained.done, drained.delivered, drained.dead) == (True, 600, 0)
    assert receiver.ids("/siem") == ids(600)


def test_an_answer_that_says_no_in_a_200_is_waited_out() -> None:
    taken: list[str] = []
    asked = [0]

    def handle(request: Request) -> Response:
        asked[0] += 1
        busy = asked[0] % 3 == 1
        if not busy:
            taken.extend(event["id"] for event in json.loads(request.body))
        return Response.json({"success": not busy, "reason": "busy"})

    with closing(Server(handle)) as server:
        queue = MemoryQueue(lots_of(100, size=10))
        one_by_one = {"accepted_when": {"field": "success"}, "max_in_flight": 1}
        drained = drain(queue, lambda: siem_at(server.url, **one_by_one), runs=20)
    assert (drained.done, drained.delivered) == (True, 100)
    assert sorted(taken) == sorted(ids(100))
