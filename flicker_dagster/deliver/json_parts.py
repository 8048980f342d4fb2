"""JSON text taken apart one level at a time, byte for byte: every member of an object, equal keys included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from flicker_dagster.json_scan import Damaged, byte_at, end_of_value, members, past_space
from flicker_dagster.json_text import read_json

_value = msgspec.json.Decoder(msgspec.Raw).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Unreadable(ValueError):
    """A key that a strict decoder does not read, and a lenient one may read as any other."""


class Member(NamedTuple):
    """A member of an object: its key, the key and its colon as they are written, and the text of its value."""

    key: str
    name: bytes
    value: bytes


def is_sound(text: bytes) -> bool:
    """Is it strict JSON, as far as the structure goes? Strings need not be UTF-8, and numbers may be of any size."""
    try:
        _value(text)
    except _UNREADABLE:
        return False
    return True


def only_object(text: bytes) -> bytes:
    """The object that the text is, without space before it. Raises Damaged where it is anything else, or more."""
    if text[:1] == b"{" and is_sound(text):
        return text
    start = past_space(text, 0)
    if byte_at(text, start) not in b"{":
        raise Damaged(start)
    end, _ = end_of_value(text, start)
    if past_space(text, end) != len(text):
        raise Damaged(end)
    return text[start:end]


def members_of(text: bytes) -> list[Member]:
    """The members of an object, in their order. Raises Damaged, Unreadable."""
    try:
        found = [Member(key, b'"%b":' % key.encode(), bytes(value)) for key, value in _members(text).items()]
    except _UNREADABLE:
        return _scanned(text)
    # A decoder keeps one of several equal keys, and forgets spaces and how a key was escaped. Each of these makes the text
    # longer than what it gave: where the lengths agree, there was none of them.
    if len(text) == 1 + max(1, sum(len(member.name) + len(member.value) + 1 for member in found)):
        return found
    return _scanned(text)


def items_of(text: bytes) -> Iterable[bytes]:
    """The items of an array, without space around them. Raises Damaged."""
    try:
        return [bytes(item) for item in _items(text)]
    except _UNREADABLE:
        return _scanned_items(text)


def _scanned(text: bytes) -> list[Member]:
    found: list[Member] = []
    behind = 1
    for key, start, end in members(text):
        name = text[text.index(b'"', behind) : start]
        _require_readable(key, name)
        found.append(Member(key, name, text[start:end]))
        behind = end
    return found


def _scanned_items(text: bytes) -> Iterable[bytes]:
    at = past_space(text, 1)
    while byte_at(text, at) not in b"]":
        end, _ = end_of_value(text, at)
        yield text[at:end]
        at = past_space(text, end)
        if byte_at(text, at) in b",":
            at = past_space(text, at + 1)


def _require_readable(key: str, name: bytes) -> None:
    if b"\\" in name:
        try:
            read_json(name[: name.rindex(b":")])
        except (ValueError, RecursionError):
            raise Unreadable("a key in it holds an escape that JSON does not know") from None
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:  # bytes that are no UTF-8, or half a surrogate pair
            raise Unreadable("a key in it is no Unicode text") from None
