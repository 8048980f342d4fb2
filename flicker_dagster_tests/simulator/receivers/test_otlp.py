"""The OTLP receiver takes what OpenTelemetry's own exporter sends, and refuses what a Collector refuses."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from flicker_dagster.simulator.receivers.otlp import JSON, PROTOBUF, OtlpReceiver


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver(token="t0ken")
    yield receiver
    receiver.close()


def post(receiver: OtlpReceiver, body: bytes, **headers: str) -> tuple[int, bytes]:
    headers = {"Content-Type": PROTOBUF, "Authorization": "Bearer t0ken"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    request = urllib.request.Request(f"{receiver.url}/v1/logs", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def exported(body: Any) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=1_795_464_000_000_000_000,
        observed_timestamp=1_795_464_060_000_000_000,
        severity_number=SeverityNumber.INFO,
        body=body,
        attributes={"log.record.uid": "u1"},
    )
    return ReadableLogRecord(record, Resource({"service.name": "theirs"}))


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_it_takes_what_opentelemetrys_own_exporter_sends(receiver: OtlpReceiver, compression: Compression) -> None:
    exporter = OTLPLogExporter(
        endpoint=f"{receiver.url}/v1/logs", headers={"Authorization": "Bearer t0ken"}, compression=compression
    )
    result = exporter.export([exported('{"id":"é"}')])
    exporter.shutdown()
    assert result.name == "SUCCESS"
    (stored,) = receiver.stored
    assert stored.uid == "u1"
    assert stored.event == '{"id":"é"}'
    assert stored.beside["time_ns"] == 1_795_464_000_000_000_000
    assert stored.beside["observed_ns"] == 1_795_464_060_000_000_000
    assert stored.beside["resource"]["service.name"] == "theirs"


def test_it_refuses_the_exporter_without_a_token(receiver: OtlpReceiver) -> None:
    exporter = OTLPLogExporter(endpoint=f"{receiver.url}/v1/logs")
    result = exporter.export([exported("x")])
    exporter.shutdown()
    assert result.name == "FAILURE"
    assert receiver.stored == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", {}, 400),
        (b"\x0a\x05ab", {}, 400),
        (b'{"resourceLogs":', {"Content_Type": JSON}, 400),
        (b"[]", {"Content_Type": JSON}, 400),
        (b"", {"Content_Type": "text/plain"}, 415),
        (b"not gzip", {"Content_Encoding": "gzip"}, 400),
        (b"", {"Content_Encoding": "br"}, 415),
        (b"", {"Authorization": "Bearer other"}, 401),
    ],
)
def test_it_refuses_what_cannot_be_read(
    receiver: OtlpReceiver, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert post(receiver, body, **headers)[0] == status
    assert receiver.stored == []


def test_an_empty_request_is_a_valid_one(receiver: OtlpReceiver) -> None:
    assert post(receiver, b"") == (200, b"\x0a\x00")
    assert post(receiver, b"{}", Content_Type=JSON) == (200, b'{"partialSuccess": {}}')


def test_a_body_above_the_limit_is_a_400_as_of_a_collector() -> None:
    receiver = OtlpReceiver(token="t0ken", max_bytes=10)
    try:
        status, body = post(receiver, b"{}" + b" " * 20, Content_Type=JSON)
        assert (status, json.loads(body)) == (400, {"code": 3, "message": "http: request body too large"})
    finally:
        receiver.close()


def test_a_partial_success_is_what_an_independent_decoder_reads() -> None:
    receiver = OtlpReceiver(poison="bad", poison_is_partial=True)
    record = {"body": {"stringValue": "bad"}, "attributes": []}
    group = {"scopeLogs": [{"logRecords": [record, {"body": {"stringValue": "good"}}]}]}
    try:
        _, body = post(receiver, json.dumps({"resourceLogs": [group]}).encode(), Content_Type=JSON)
        assert json.loads(body)["partialSuccess"]["rejectedLogRecords"] == "1"
        assert [stored.event for stored in receiver.stored] == ["good"]
        inner = b"\x2a\x05\x0a\x03bad"
        wire = b"\x0a\x0b\x12\x09\x12\x07" + inner
        read = ExportLogsServiceResponse.FromString(post(receiver, wire)[1])
        assert read.partial_success.rejected_log_records == 1
    finally:
        receiver.close()
