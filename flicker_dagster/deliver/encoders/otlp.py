"""Lots as OTLP `ExportLogsServiceRequest`, in protobuf and in JSON (opentelemetry-proto 1.x, opentelemetry/proto/logs/v1).

Written out by hand: the message has a dozen fields, and protobuf's wire format is tags, lengths and bytes. The event is the
record's body, as one string, so that its bytes, lone surrogates' escapes included, arrive as they are; bytes that are no
UTF-8 go as `bytesValue`.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping

import msgspec

from flicker_dagster.lots import Lot

#: The semantic convention's attribute by which records are known again.
UID_ATTRIBUTE = b"log.record.uid"

NS_PER_MS = 1_000_000
_LATEST_MS = (2**64 - 1) // NS_PER_MS

_fixed64 = struct.Struct("<Q").pack


def to_protobuf(lot: Lot, *, resource: Mapping[str, str]) -> bytes:
    """The request as protobuf. `resource` are the attributes of the resource; the stream names the scope."""
    records = b"".join(_records(lot))
    scope = _field(1, _field(1, lot.source.encode("utf-8", "replace")))
    attributes = b"".join(
        _field(1, _attribute(name.encode("utf-8", "replace"), text.encode("utf-8", "replace")))
        for name, text in resource.items()
    )
    return _field(1, _field(1, attributes) + _field(2, scope + records))


def to_json(lot: Lot, *, resource: Mapping[str, str]) -> bytes:
    """The request as JSON: lowerCamelCase names, 64-bit numbers as strings."""
    observed = str(_nanoseconds(lot.collected_ms) or 0)
    records = [
        {
            **({} if (at := _nanoseconds(time_ms)) is None else {"timeUnixNano": str(at)}),
            "observedTimeUnixNano": observed,
            "body": _json_body(event),
            "attributes": [{"key": "log.record.uid", "value": {"stringValue": uid}}],
        }
        for event, uid, time_ms in zip(lot.events, lot.uids, lot.times_ms)
    ]
    request = {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [{"key": name, "value": {"stringValue": text}} for name, text in resource.items()]
                },
                "scopeLogs": [{"scope": {"name": lot.source}, "logRecords": records}],
            }
        ]
    }
    return msgspec.json.encode(request)


# -- protobuf


def _records(lot: Lot) -> Iterator[bytes]:
    """`log_records` of ScopeLogs, each with its tag: times (1, 11), body (5), attributes (6)."""
    observed = b"\x59" + _fixed64(_nanoseconds(lot.collected_ms) or 0)
    is_text = _is_utf8(lot.array)
    for event, uid, time_ms in zip(lot.events, lot.uids, lot.times_ms):
        at = _nanoseconds(time_ms)
        body = _field(1 if is_text or _is_utf8(event) else 7, event)
        yield _field(
            2,
            b"%b%b%b%b"
            % (
                b"" if at is None else b"\x09" + _fixed64(at),
                _field(5, body),
                _field(6, _attribute(UID_ATTRIBUTE, uid.encode())),
                observed,
            ),
        )


def _attribute(name: bytes, text: bytes) -> bytes:
    return _field(1, name) + _field(2, _field(1, text))


def _field(number: int, content: bytes) -> bytes:
    """A field of wire type 2, length-delimited; numbers up to 15 fit one byte."""
    return b"%c%b%b" % (number << 3 | 2, _varint(len(content)), content)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return b"%c" % value
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


def _json_body(event: bytes) -> dict[str, str]:
    try:
        return {"stringValue": event.decode()}
    except UnicodeDecodeError:
        return {"bytesValue": base64.b64encode(event).decode()}
