"""What is sent to an HTTP endpoint, and what is found before anything is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from contextlib import closing
from typing import Any

import pytest
from isal import igzip

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import LaneContext, open_destination
from flicker_dagster.deliver.encoders.json_array import JsonArray
from flicker_dagster.deliver.outcomes import Blocked, Delivered
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.server import Request
from flicker_dagster_tests.deliver.contract import lot_of
from flicker_dagster_tests.deliver.destinations.http_endpoints import LOT, send, siem_at
from flicker_dagster_tests.deliver.destinations.scenes import Answering

ARRAY = b'[{"id":"a","n":1.10},{"id":"b"}]'


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
