"""OTLP/HTTP logs: what arrives, in both encodings."""

from __future__ import annotations

import gzip

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from flicker_dagster.deliver.encoders.otlp import to_json, to_protobuf
from flicker_dagster.deliver.outcomes import Delivered, Split
from flicker_dagster.simulator.receivers.otlp import OtlpReceiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.otlp_lanes import HOSTILE, NOT_UTF8, SURROGATE, encodings, send


@encodings
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_events_arrive_byte_for_byte_with_id_and_times(otlp: OtlpReceiver, encoding: str, compression: str) -> None:
    lot = lot_of([*HOSTILE, event_of(1)], times_ms=[NOW_MS - 5, None, -1, 2**62])
    assert send(lot, otlp.url, encoding=encoding, compression=compression) == Delivered("HTTP 200 OK")
    assert [stored.event.encode() for stored in otlp.stored] == lot.events
    assert [stored.uid for stored in otlp.stored] == lot.uids
    assert [stored.beside["time_ns"] for stored in otlp.stored] == [(NOW_MS - 5) * 1_000_000, 0, 0, 0]
    assert {stored.beside["observed_ns"] for stored in otlp.stored} == {NOW_MS * 1_000_000}
    assert otlp.stored[0].beside["resource"] == {
        "service.name": "flicker",
        "flicker.stream": "okta",
        "flicker.schema": "vendor",
    }
    assert otlp.stored[0].beside["scope"] == "okta"


@encodings
def test_bytes_that_are_no_utf8_arrive_as_bytes(otlp: OtlpReceiver, encoding: str) -> None:
    lot = lot_of([SURROGATE, NOT_UTF8])
    assert isinstance(send(lot, otlp.url, encoding=encoding), Delivered)
    assert [stored.event for stored in otlp.stored] == [SURROGATE.decode(), NOT_UTF8]


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
def test_a_body_over_the_limit_is_not_sent(otlp: OtlpReceiver, encoding: str) -> None:
    assert isinstance(send(lot_of([event_of(1)] * 3), otlp.url, encoding=encoding, max_batch_bytes=900), Split)
    assert otlp.requests == 0
