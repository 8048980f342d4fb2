"""Where things lie in JSON text that no strict decoder reads: found without recursion, in time linear in the text.

Only the structure is looked at: brackets, commas, colons, and where strings end. What stands inside of strings and between
commas may be anything (raw control characters, bytes that are no UTF-8, bad escapes, NaN), at any depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flicker_dagster.json_text import as_text, read_json

_SPACE = re.compile(rb"[ \t\r\n]*")

#: A number, a word, or what a vendor writes in their place.
_BARE = re.compile(rb'[^\x00-\x20,\[\]{}":]+')

#: Members of an object without anything nested or escaped in them. The number bounds what `re` keeps of a match.
_FLAT = re.compile(
    rb'(?:[ \t\r\n]*"[^"\\]*"[ \t\r\n]*:[ \t\r\n]*(?:"[^"\\]*"|[^\x00-\x20,\[\]{}":]+)[ \t\r\n]*,(?=[ \t\r\n]*")){1,200}'
)

_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_SCALAR = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*(:?)|([^\x00-\x20,\[\]{}":]+)', re.DOTALL)

_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
OBJECT, _ARRAY = b"{["
#: Larger objects and arrays are no values of a field that is read by itself.
LARGEST_CONTAINER_BYTES = 256 * 1024

_CLOSING = 2  # from an opening bracket to its closing one
_BLANK = 0x20
_END = 0  # what stands behind the text; nothing else in here looks for a zero byte


class Damaged(ValueError):
    """Text that is not structured as JSON. `at` is where that shows; `cut_off` that nothing is wrong but its end."""

    def __init__(self, at: int, *, cut_off: bool = False) -> None:
        super().__init__(f"it ends in the middle, at byte {at}" if cut_off else f"at byte {at}")
        self.at = at
        self.cut_off = cut_off


def end_of_value(text: bytes, at: int = 0) -> tuple[int, int]:
    """Where the value at `at` ends, and how deeply it is nested (0 for a scalar). Raises Damaged."""
    return scan(text, past_space(text, at), bytearray(), inside=False)


def levels(text: bytes) -> int:
    """How deeply a value is nested; 0 for a scalar, and for what is not structured as JSON."""
    try:
        return end_of_value(text)[1]
    except Damaged:
        return 0


def is_one_value(text: bytes) -> bool:
    """Is this one value and nothing else, so that it can be told from its neighbours in a list?"""
    try:
        return past_space(text, end_of_value(text)[0]) == len(text)
    except Damaged:
        return False


def find(text: bytes, parts: tuple[str, ...]) -> tuple[int, int] | None:
    """Start and end of what lies at a path, or None. Of equal keys the last one counts, as with every decoder.

    Raises Damaged where the text is damaged before the value; a value that is damaged itself ends with the text.
    """
    at, end = past_space(text, 0), len(text)
    for part in parts:
        found: tuple[int, int] | None = None
        try:
            for key, start, stop in members(text, at):
                if key == part:
                    found = start, stop
        except Damaged:
            if found is None:
                raise
        if found is None:
            return None
        at, end = found
    return at, end


def value_at(text: bytes, parts: tuple[str, ...]) -> object:
    """What lies at a path: read as well as it can be; None where nothing lies there."""
    try:
        found = find(text, parts)
    except Damaged:
        return None
    return None if found is None else read_value(text[found[0] : found[1]])


def read_value(text: bytes) -> object:
    """A value, or its text where nobody can read it. A large object or array stays text as well: taken apart it would be
    dozens of times its size, and no id, time or cursor is one."""
    if len(text) > LARGEST_CONTAINER_BYTES and text[:1] in (b"{", b"["):
        return as_text(text)
    try:
        return read_json(text)
    except (ValueError, RecursionError):
        return as_text(text)


def names(text: bytes, *, most: int) -> list[str]:
    """The names in an object, `most` of them at most, as far as it can be read; none for anything but an object."""
    found: list[str] = []
    try:
        for key, _, _ in members(text):
            found.append(key)
            if len(found) == most:
                break
    except Damaged:
        pass
    return found


def compact(text: bytes) -> bytes:
    """JSON text without white space outside of strings."""
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", text)


def scalars(text: bytes) -> Iterator[object]:
    """Every scalar of JSON text but the keys, read as well as it can be."""
    for match in _SCALAR.finditer(text):
        if not match[2]:
            yield read_value(match[1] or match[3])


def members(text: bytes, at: int = 0) -> Iterator[tuple[str, int, int]]:
    """Key, start and end of each member of the object at `at`; none for anything else. Raises Damaged, after a member
    whose value is damaged."""
    at = past_space(text, at)
    if text[at : at + 1] != b"{":
        return
    at = past_space(text, at + 1)
    while text[at : at + 1] != b"}":
        start = at
        at = _end_of_string(text, at)
        key = str(read_value(text[start:at])) if b"\\" in text[start:at] else as_text(text[start + 1 : at - 1])
        at = start = _behind_colon(text, at)
        try:
            at, _ = end_of_value(text, start)
        except Damaged:
            yield key, start, len(text)
            raise
        yield key, start, at
        at = past_space(text, at)
        if text[at : at + 1] == b",":
            at = past_space(text, at + 1)
        elif text[at : at + 1] != b"}":
            raise Damaged(at)


def scan(text: bytes, at: int, stack: bytearray, *, inside: bool) -> tuple[int, int]:
    """Where everything on the stack and the value at `at` have ended, and the greatest depth. With `inside` there is no
    value at `at`: one has just ended there."""
    deepest = len(stack)
    try:
        while True:
            if not inside:  # a value begins
                byte = text[at]
                if byte == _QUOTE:
                    at = _end_of_string(text, at)
                elif byte in (OBJECT, _ARRAY):
                    stack.append(byte)
                    at += 1
                    if text[at] <= _BLANK:
                        at = past_space(text, at)
                    if text[at] != byte + _CLOSING:  # a member or an item begins
                        if byte == OBJECT:
                            at = _to_value(text, at)
                        continue
                    deepest = max(deepest, len(stack))
                    stack.pop()
                    at += 1
                else:
                    bare = _BARE.match(text, at)
                    if bare is None:
                        raise Damaged(at)
                    at = bare.end()
            inside = False
            while stack:  # a value has ended
                byte = text[at]
                if byte <= _BLANK:
                    at = past_space(text, at)
                    byte = text[at]
                opened = stack[-1]
                if byte == opened + _CLOSING:
                    if len(stack) > deepest:
                        deepest = len(stack)
                    stack.pop()
                    at += 1
                elif byte == _COMMA:
                    at = past_space(text, at + 1)
                    if text[at] == opened + _CLOSING:
                        continue  # a comma too many does no harm
                    if opened == OBJECT:
                        at = _to_value(text, at)
                    break
                else:
                    raise Damaged(at)
            else:
                return at, deepest
    except IndexError:
        raise Damaged(len(text), cut_off=True) from None


def _to_value(text: bytes, at: int) -> int:
    """From a member's beginning to its value, past plain members before it. Raises Damaged."""
    flat = _FLAT.match(text, at)
    while flat is not None:
        at = flat.end()
        flat = _FLAT.match(text, at)
    return _behind_colon(text, _end_of_string(text, past_space(text, at)))


def _behind_colon(text: bytes, at: int) -> int:
    at = past_space(text, at)
    if text[at : at + 1] != b":":
        raise Damaged(at, cut_off=at == len(text))
    return past_space(text, at + 1)


def _end_of_string(text: bytes, at: int) -> int:
    """Behind the string's closing quote. Raises Damaged where there is none."""
    if text[at : at + 1] != b'"':
        raise Damaged(at, cut_off=at == len(text))
    start = at + 1
    while True:
        quote = text.find(b'"', start)
        if quote < 0:
            raise Damaged(len(text))
        before = quote
        while before > start and text[before - 1] == _BACKSLASH:
            before -= 1
        if (quote - before) % 2 == 0:
            return quote + 1
        start = quote + 1


def byte_at(text: bytes, at: int) -> int:
    return text[at] if at < len(text) else _END


def past_space(text: bytes, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]
