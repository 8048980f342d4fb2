"""What OTLP servers answer: `ExportLogsServiceResponse` and `google.rpc.Status`, in protobuf and in JSON."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from flicker_dagster.json_text import read_json


class NotOtlp(ValueError):
    """An answer that no OTLP server gives. Its words say what came instead of what."""


class PartialSuccess(msgspec.Struct, frozen=True):
    """How many records were refused, and the server's words. None refused with words is a warning."""

    rejected: int = 0
    message: str = ""


def partial_success_of(body: bytes, content_type: str) -> PartialSuccess:
    """What the answer to a request that was taken says of its records. An empty one says nothing.

    Raises NotOtlp.
    """
    if not body:
        return PartialSuccess()
    if is_protobuf(content_type):
        return _of_protobuf(body)
    if _kind(content_type) == "application/json":
        return _of_json(body)
    raise NotOtlp(f"its type is {_kind(content_type) or 'not named'}, expected application/x-protobuf or -json")


def error_message_of(body: bytes) -> str:
    """The message of a protobuf `google.rpc.Status`; empty where it has none or is no such thing."""
    try:
        return next((_text(value) for number, value in _fields(body) if number == 2 and isinstance(value, bytes)), "")
    except NotOtlp:
        return ""


def is_protobuf(content_type: str) -> bool:
    return _kind(content_type) in ("application/x-protobuf", "application/protobuf", "application/octet-stream")


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _of_json(body: bytes) -> PartialSuccess:
    try:
        answer = read_json(body)
    except (ValueError, RecursionError):
        raise NotOtlp("it is no JSON") from None
    if not isinstance(answer, dict):
        raise NotOtlp("it is no JSON object")
    partial = answer.get("partialSuccess", answer.get("partial_success")) or {}
    if not isinstance(partial, dict):
        raise NotOtlp("its partialSuccess is no object")
    rejected = partial.get("rejectedLogRecords", partial.get("rejected_log_records")) or 0
    try:
        return PartialSuccess(_count(int(rejected)), str(partial.get("errorMessage") or ""))
    except (TypeError, ValueError, OverflowError):
        raise NotOtlp("its rejectedLogRecords is no number of records") from None


def _of_protobuf(body: bytes) -> PartialSuccess:
    rejected, message = 0, ""
    for number, partial in _fields(body):
        if number != 1 or not isinstance(partial, bytes):
            continue
        for inner, value in _fields(partial):
            if inner == 1 and isinstance(value, int):
                rejected = _count(value)
            elif inner == 2 and isinstance(value, bytes):
                message = _text(value)
    return PartialSuccess(rejected, message)


def _count(value: int) -> int:
    if not 0 <= value < 2**63:
        raise NotOtlp("its number of refused records is negative")
    return value


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protobuf message. Raises NotOtlp where it is cut or none."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise NotOtlp("it is no protobuf message")
        if at + length > len(message):
            raise NotOtlp("it is a protobuf message that was cut off, or none")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NotOtlp("it is a protobuf message that was cut off, or none")
