"""What an answer that holds no events says of the reason. Only what speaks of an error is repeated, never an event."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from flicker_dagster.json_paths import readings
from flicker_dagster.json_scan import Damaged, find, members, read_value
from flicker_dagster.printable import cut, visible

SHOWN_CHARS = 200
SHOWN_NAMES = 20
_NAME_CHARS = 60

#: So much of a value is looked at, before secrets in it are masked and it is cut.
_READ_BYTES = 16_384

_ERROR = re.compile(r"error|exception|^faults?$|^failures?$", re.IGNORECASE)
_ERROR_ALONE = re.compile(
    r"errors?([-_]?(code|type|message|msg|description|detail|details))?|exception|faults?|failures?", re.IGNORECASE
)
_SUCCESS = re.compile(r"^(ok|success|succeeded|successful)$", re.IGNORECASE)
_STATUS = re.compile(r"^(status|state|result|type)$", re.IGNORECASE)
_FAILED = re.compile(r"^(error|errors|fail|failed|failure|fault|exception|unauthori[sz]ed|denied)$", re.IGNORECASE)
_WORDS = re.compile(
    r"^(message|messages|msg|detail|details|description|reason|title|code|status|statuscode)$", re.IGNORECASE
)
_NONE = ("", "0", "false", "none", "null", "ok", "[]", "{}")

Mask = Callable[[str], str]


def told_at(body: bytes, path: str, mask: Mask) -> str | None:
    """What the answer says at a configured path, where that is anything."""
    for parts in readings(path):
        try:
            found = find(body, parts)
        except Damaged:
            continue
        if found is not None and _says_something(value := _value(body, *found)):
            return shown(value, mask)
    return None


def told_errors(body: bytes, mask: Mask, *, by_name_alone: bool = False) -> tuple[list[str], list[str]]:
    """The fields of an object that speak of an error, as `name: value`; and others that may explain it.

    `by_name_alone` heeds only names that mean nothing else: where the promised list is there, `lastErrorTime` is no error.
    """
    errors: list[str] = []
    words: list[str] = []
    try:
        for name, start, end in members(body):
            kind = _kind(name, _value(body, start, end))
            if kind == "error" and by_name_alone and _ERROR.search(name) and not _ERROR_ALONE.fullmatch(name):
                kind = None
            if kind is not None:
                told = errors if kind == "error" else words
                told.append(f"{shown_name(name)}: {shown(_value(body, start, end), mask)}")
            if len(errors) + len(words) >= SHOWN_NAMES:
                break
    except Damaged:
        pass
    return errors, words


def shown(value: object, mask: Mask) -> str:
    """A value in a message: secrets masked first and cut afterwards, control characters as escapes."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    text = mask(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return repr(cut(text, SHOWN_CHARS))


def shown_name(name: str) -> str:
    return visible(cut(name, _NAME_CHARS))


def _kind(name: str, value: object) -> str | None:
    if _SUCCESS.match(name):
        return "error" if value is False or str(value).lower() in ("false", "0", "no") else None
    if _ERROR.search(name):
        return "error" if _says_something(value) else None
    if _STATUS.match(name) and isinstance(value, str) and _FAILED.match(value.strip()):
        return "error"
    return "words" if _WORDS.match(name) and _says_something(value) and not isinstance(value, dict | list) else None


def _value(body: bytes, start: int, end: int) -> object:
    text = body[start : min(end, start + _READ_BYTES)]
    return read_value(text)


def _says_something(value: object) -> bool:
    return bool(value) and str(value).strip().lower() not in _NONE
