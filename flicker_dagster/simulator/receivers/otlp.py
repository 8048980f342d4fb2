"""A server of OTLP/HTTP logs: reads protobuf and JSON by itself, and answers as a Collector does.

What the Collector (0.165) was seen to do: an inflated body above its limit is a 400 with `http: request body too large`,
another content type a 415, and success an empty partial success.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response

PROTOBUF, JSON = "application/x-protobuf", "application/json"
INVALID_ARGUMENT, UNAUTHENTICATED, UNAVAILABLE = 3, 16, 14
TOO_LARGE = "http: request body too large"


class OtlpReceiver(ApiReceiver):
    """`POST /v1/logs`. With `poison_is_partial` a record that holds `poison` is refused alone, by a partial success that
    counts it; else the whole request is refused with a 400."""

    def __init__(
        self,
        *,
        token: str | None = None,
        max_bytes: int | None = None,
        poison: str | None = None,
        encodings: tuple[str, ...] = (PROTOBUF, JSON),
        poison_is_partial: bool = False,
        warning: str = "",
        path: str = "/v1/logs",
        **common: Any,
    ) -> None:
        self.token = token
        self.max_bytes = max_bytes
        self.refused_text = poison  # looked for record by record, not in the body
        self.encodings = encodings
        self.poison_is_partial = poison_is_partial
        self.warning = warning
        self.path = path
        self.keys: list[str] = []
        self._kind = PROTOBUF  # of the last request: refusals are worded alike
        super().__init__(**common)

    def take(self, request: Request) -> Response:
        if request.path != self.path:
            raise Refusal(Response(404, b"404 page not found\n", [("Content-Type", "text/plain; charset=utf-8")]))
        if request.method != "POST":
            raise Refusal(Response(405, b"405 method not allowed, supported: [POST]", [("Content-Type", "text/plain")]))
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in self.encodings:
            raise Refusal(Response(415, b"415 unsupported media type", [("Content-Type", "text/plain")]))
        self._kind = kind
        if self.token is not None and request.bearer() != self.token:
            raise Refusal(self.refusal(401, ""))
        body = self._body(request)
        try:
            records = list(_of_protobuf(body) if kind == PROTOBUF else _of_json(body))
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise Refusal(self.refusal(400, f"cannot be read: {error}")) from None
        return self._taken(records, request.headers.get("idempotency-key", ""))

    def refusal(self, status: int, says: str) -> Response:
        code = {401: UNAUTHENTICATED, 503: UNAVAILABLE}.get(status, INVALID_ARGUMENT)
        message = says or f"simulated {status}"
        if self._kind == JSON:
            return Response.json({"code": code, "message": message}, status)
        return Response(status, _number(1, code) + _bytes(2, message.encode()), [("Content-Type", PROTOBUF)])

    # -- inside

    def _body(self, request: Request) -> bytes:
        body = self.inflated(request, most=None)
        if self.max_bytes is not None and len(body) > self.max_bytes:
            raise Refusal(self.refusal(400, TOO_LARGE))
        return body

    def _taken(self, records: list[Stored], key: str) -> Response:
        poison = self.refused_text
        bad = [poison is not None and poison in str(record.event) for record in records]
        if any(bad) and not self.poison_is_partial:
            raise Refusal(self.refusal(400, "a record is not acceptable"))
        with self.lock:
            self.keys.append(key)
        self.store([record for record, is_bad in zip(records, bad) if not is_bad])
        message = "records are not acceptable" if any(bad) else self.warning
        if self._kind == JSON:
            partial = {"rejectedLogRecords": str(sum(bad)), "errorMessage": message} if message else {}
            return Response.json({"partialSuccess": partial})
        inner = (_number(1, sum(bad)) if any(bad) else b"") + (_bytes(2, message.encode()) if message else b"")
        return Response(200, _bytes(1, inner), [("Content-Type", PROTOBUF)])


# -- reading requests


def _of_json(body: bytes) -> Iterator[Stored]:
    for group in json.loads(body).get("resourceLogs", []):
        resource = _attributes_of_json(group.get("resource", {}))
        for scoped in group.get("scopeLogs", []):
            for record in scoped.get("logRecords", []):
                yield _stored(
                    _value_of_json(record.get("body", {})),
                    _attributes_of_json(record),
                    resource,
                    scoped.get("scope", {}).get("name", ""),
                    int(record.get("timeUnixNano", 0)),
                    int(record.get("observedTimeUnixNano", 0)),
                )


def _attributes_of_json(holder: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: _value_of_json(each["value"]) for each in holder.get("attributes", [])}


def _value_of_json(value: dict[str, Any]) -> Any:
    if "bytesValue" in value:
        return base64.b64decode(value["bytesValue"])
    return next(iter(value.values()), None)


def _of_protobuf(body: bytes) -> Iterator[Stored]:
    for group in _every(body, 1):
        resource = _attributes(b"".join(_every(group, 1)), 1)
        for scoped in _every(group, 2):
            scope = b"".join(_every(b"".join(_every(scoped, 1)), 1)).decode()
            for record in _every(scoped, 2):
                yield _stored(
                    _value(b"".join(_every(record, 5))),
                    _attributes(record, 6),
                    resource,
                    scope,
                    int.from_bytes(b"".join(_every(record, 1)), "little"),
                    int.from_bytes(b"".join(_every(record, 11)), "little"),
                )


def _stored(
    event: Any, attributes: dict[str, Any], resource: dict[str, Any], scope: str, time_ns: int, observed_ns: int
) -> Stored:
    beside = {"resource": resource, "scope": scope, "time_ns": time_ns, "observed_ns": observed_ns}
    return Stored(str(attributes.get("log.record.uid", "")), event, beside | {"attributes": attributes})


def _attributes(message: bytes, number: int) -> dict[str, Any]:
    return {b"".join(_every(each, 1)).decode(): _value(b"".join(_every(each, 2))) for each in _every(message, number)}


def _value(message: bytes) -> Any:
    """A string or bytes of an AnyValue."""
    texts = list(_every(message, 1))
    return texts[0].decode() if texts else b"".join(_every(message, 7))


def _every(message: bytes, wanted: int) -> Iterator[bytes]:
    """The contents of every field of this number. Raises ValueError for what is no protobuf."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(message, at)
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"wire type {kind}")
        length, at = _varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
        if at + length > len(message):
            raise ValueError("unexpected end")
        if tag >> 3 == wanted:
            yield message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
        shift += 7


# -- writing answers


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _as_varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
