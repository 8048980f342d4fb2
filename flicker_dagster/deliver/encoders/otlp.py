"""Lots as OTLP `ExportLogsServiceRequest`, in protobuf and in JSON (opentelemetry-proto 1.x, opentelemetry/proto/logs/v1).

Written out by hand: the message has a dozen fields, and protobuf's wire format is tags, lengths and bytes. The event is the
record's body, as one string, so that its bytes, lone surrogates' escapes included, arrive as they are; bytes that are no
UTF-8 go as `bytesValue`.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from flicker_dagster.lots import ID_BYTES, Lot

#: The semantic convention's attribute by which records are known again.
UID_ATTRIBUTE = "log.record.uid"

NS_PER_MS = 1_000_000
_LATEST_MS = (2**64 - 1) // NS_PER_MS

_fixed64 = struct.Struct("<Q").pack

#: Tags of a LogRecord's fields: time (1), body (5), attributes (6), time of observation (11); and of a body's two kinds.
_TIME, _BODY, _ATTRIBUTE, _OBSERVED = b"\x09", b"\x2a", 6, b"\x59"
_STRING, _BYTES = b"\x0a", b"\x3a"
_RECORD = b"\x12"


def to_protobuf(lot: Lot, *, resource: Mapping[str, str]) -> bytes:
    """The request as protobuf. `resource` are the attributes of the resource; the stream names the scope."""
    scope = _field(1, _field(1, lot.source.encode("utf-8", "replace")))
    attributes = b"".join(
        _field(1, _attribute(name.encode("utf-8", "replace"), text.encode("utf-8", "replace")))
        for name, text in resource.items()
    )
    records = _records(lot)
    logs_bytes = len(scope) + sum(map(len, records))
    before = _field(1, attributes) + _begin(2, logs_bytes)
    return b"".join((_begin(1, len(before) + logs_bytes), before, scope, *records))  # megabytes, put together once


def to_json(lot: Lot, *, resource: Mapping[str, str]) -> bytes:
    """The request as JSON: lowerCamelCase names, 64-bit numbers as strings."""
    encode = msgspec.json.encode
    observed = b'"observedTimeUnixNano":"%d","body":{' % (_nanoseconds(lot.collected_ms) or 0)
    records = [
        b'{%b%b%b},"attributes":[{"key":"log.record.uid","value":{"stringValue":"%b"}}]}'
        % (
            b"" if (at := _nanoseconds(time_ms)) is None else b'"timeUnixNano":"%d",' % at,
            observed,
            _json_body(event),
            uid.encode(),
        )
        for event, uid, time_ms in zip(lot.events, lot.uids, lot.times_ms)
    ]
    attributes = [{"key": name, "value": {"stringValue": text}} for name, text in resource.items()]
    return b'{"resourceLogs":[{"resource":%b,"scopeLogs":[{"scope":%b,"logRecords":[%b]}]}]}' % (
        encode({"attributes": attributes}),
        encode({"name": lot.source}),
        b",".join(records),
    )


# -- protobuf


def _records(lot: Lot) -> list[bytes]:
    """`log_records` of ScopeLogs, in pieces: there are many, and what is alike in all of them is made once."""
    observed = _OBSERVED + _fixed64(_nanoseconds(lot.collected_ms) or 0)
    is_text = _is_utf8(lot.array)
    attribute = _field(_ATTRIBUTE, _attribute(UID_ATTRIBUTE.encode(), bytes(2 * ID_BYTES)))[: -2 * ID_BYTES]
    around_bytes = 1 + len(attribute) + 2 * ID_BYTES + len(observed)
    pieces: list[bytes] = []
    for event, uid, time_ms in zip(lot.events, lot.uids, lot.times_ms):
        at = _nanoseconds(time_ms)
        time = b"" if at is None else _TIME + _fixed64(at)
        before, body = _begins(len(event), around_bytes + len(time), is_text or _is_utf8(event))
        pieces += (before, time, body, event, b"%b%b%b" % (attribute, uid.encode(), observed))
    return pieces


@lru_cache(16_384)
def _begins(event_bytes: int, around_bytes: int, is_text: bool) -> tuple[bytes, bytes]:
    """What stands before a record's time, and between it and the event."""
    length = _varint(event_bytes)
    content_bytes = 1 + len(length) + event_bytes
    body_length = _varint(content_bytes)
    record_bytes = around_bytes + len(body_length) + content_bytes
    return _RECORD + _varint(record_bytes), _BODY + body_length + (_STRING if is_text else _BYTES) + length


def _attribute(name: bytes, text: bytes) -> bytes:
    return _field(1, name) + _field(2, _field(1, text))


def _field(number: int, content: bytes) -> bytes:
    """A field of wire type 2, length-delimited; numbers up to 15 fit one byte."""
    return _begin(number, len(content)) + content


def _begin(number: int, content_bytes: int) -> bytes:
    return b"%c%b" % (number << 3 | 2, _varint(content_bytes))


@lru_cache(16_384)
def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


# -- both


def _nanoseconds(time_ms: int | None) -> int | None:
    """None for a time that is unknown or that OTLP has no number for (before 1970, after 2554): receivers then take the
    time of observation."""
    return time_ms * NS_PER_MS if time_ms is not None and 0 < time_ms <= _LATEST_MS else None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _json_body(event: bytes) -> bytes:
    try:
        return b'"stringValue":' + msgspec.json.encode(event.decode())
    except UnicodeDecodeError:
        return b'"bytesValue":"' + base64.b64encode(event) + b'"'
