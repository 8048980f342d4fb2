"""Kafka's wire format, of versions before the compact one: numbers, strings, arrays, and the varints of records."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_i8, _i16, _i32, _i64, _u32 = (struct.Struct(f">{code}") for code in "bhiqI")


NO_TAGS = b"\x00"


class Cut(ValueError):
    """A message ends before what it promised."""


class Reader:
    """Reads one message from its beginning. Raises Cut."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise Cut(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size : self.at]

    def i8(self) -> int:
        return _i8.unpack(self.take(1))[0]

    def i16(self) -> int:
        return _i16.unpack(self.take(2))[0]

    def i32(self) -> int:
        return _i32.unpack(self.take(4))[0]

    def i64(self) -> int:
        return _i64.unpack(self.take(8))[0]

    def u32(self) -> int:
        return _u32.unpack(self.take(4))[0]

    def string(self) -> str | None:
        size = self.i16()
        return None if size < 0 else self.take(size).decode()

    def bytes(self) -> bytes | None:
        size = self.i32()
        return None if size < 0 else self.take(size)

    def array(self, each: Callable[[], T]) -> list[T] | None:
        count = self.i32()
        return None if count < 0 else [each() for _ in range(count)]

    def uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def compact_string(self) -> str | None:
        size = self.uvarint()
        return None if size == 0 else self.take(size - 1).decode()

    def tags(self) -> None:
        """Tagged fields of compact versions; none is known here."""
        for _ in range(self.uvarint()):
            self.uvarint()
            self.take(self.uvarint())

    def varint(self) -> int:
        """Zig-zag, as in records."""
        value = self.uvarint()
        return value >> 1 ^ -(value & 1)

    def varbytes(self) -> bytes | None:
        size = self.varint()
        return None if size < 0 else self.take(size)


def i8(value: int) -> bytes:
    return _i8.pack(value)


def i16(value: int) -> bytes:
    return _i16.pack(value)


def i32(value: int) -> bytes:
    return _i32.pack(value)


def i64(value: int) -> bytes:
    return _i64.pack(value)


def string(value: str | None) -> bytes:
    if value is None:
        return i16(-1)
    text = value.encode()
    return i16(len(text)) + text


def blob(value: bytes | None) -> bytes:
    return i32(-1) if value is None else i32(len(value)) + value


def array(items: Iterable[bytes]) -> bytes:
    items = list(items)
    return i32(len(items)) + b"".join(items)
