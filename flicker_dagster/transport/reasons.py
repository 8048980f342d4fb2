"""What a refusal says of its reason, and of anything else that was not promised only its shape.

A vendor's or SIEM's words help whoever reads the log; events do not belong there, and both come in the same answers. So
of JSON only the members that are made for messages are repeated, and of other text no more than a line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from flicker_dagster.json_text import read_json
from flicker_dagster.printable import cut

#: Of one message, and how many of them.
MESSAGE_CHARS = 300
MESSAGES = 6
SHOWN_NAMES = 20

#: How deep errors lie inside of each other.
_LEVELS = 4

#: Members that hold an error's words; `-` and `_` are left out, capitals do not count.
_MESSAGES = re.compile(
    r"(error|exception|fault)(s|code|type|message|msg|summary|description|detail|details|causes|string)?"
    r"|messages?|msg|text|reason|title|details?|description|code|status|statuscode|type|cause|invalideventnumber",
    re.IGNORECASE,
)
_NAME = re.compile(rb'"([^"\\]{1,60})"\s{0,8}:')

#: Where in a message something begins that was quoted from a body: an object or array in JSON or in a language's literals.
_QUOTED = re.compile(r"""[{\[]\s{0,8}(?:["'{\[\\&%]|[\w.-]{1,80}["']?\s{0,8}[:=]).*""", re.DOTALL)


def said_in(body: bytes, *, event_fields: Collection[str] = ()) -> str:
    """The reason that a refusal gives, unmasked; where there is none, its shape.

    An object that has all of `event_fields` is taken for an event.
    """
    text = body.strip().removeprefix(b"\xef\xbb\xbf")
    if text[:1] in (b"{", b"[", b'"'):
        try:
            value = read_json(text)
        except (ValueError, RecursionError):
            return shape_of(body)
        told = list(dict.fromkeys(_told(value, frozenset(event_fields), _LEVELS)))[:MESSAGES]
        return ", ".join(told) or shape_of(body)
    if text[:1] == b"<":
        return shape_of(body)
    return _message(text.decode("utf-8", "replace")) if text else "without a word"


def shape_of(body: bytes) -> str:
    """Kind, size and names of fields: nothing of what an event holds."""
    text = body.lstrip()
    size = f"{len(body)} bytes"
    if not text:
        return "an empty answer"
    if text[:1] == b"<":
        return f"{size} of HTML or XML"
    if text[:1] in (b"{", b"["):
        found = list(dict.fromkeys(name.decode("utf-8", "replace") for name in _NAME.findall(text[:65_536])))
        names = ", ".join(found[:SHOWN_NAMES]) + ("…" if len(found) > SHOWN_NAMES else "")
        return f"{size} of JSON" + (f" with the names {names}" if names else "")
    return f"{size} of JSON text" if text[:1] == b'"' else f"{size} of text"


def _told(value: Any, event_fields: frozenset[str], levels: int) -> Iterator[str]:
    if levels == 0:
        return
    if isinstance(value, str):
        inner = value.strip()
        if inner[:1] in ("{", "[", "<"):  # an answer wrapped once more
            yield said_in(inner.encode("utf-8", "surrogatepass"), event_fields=event_fields)
        elif inner:
            yield _message(inner)
    elif isinstance(value, list):
        for each in value[:MESSAGES]:
            yield from _told(each, event_fields, levels - 1)
    elif isinstance(value, dict) and not (event_fields and event_fields <= value.keys()):
        for name, inner in value.items():
            if not _MESSAGES.fullmatch(name.replace("-", "").replace("_", "")):
                continue
            if isinstance(inner, dict | list):
                yield from _told(inner, event_fields, levels - 1)
            elif inner is not None and inner != "":
                yield f"{name}: {', '.join(_told(inner, event_fields, levels - 1)) or inner}"


def _message(text: str) -> str:
    return cut(_QUOTED.sub("{…}", text[: 16 * MESSAGE_CHARS]), 8 * MESSAGE_CHARS)


def without_echo(said: str, sent: bytes) -> str:
    """A text of a SIEM without what it repeats of the values that it was sent: runs of eight characters and more, which the
    names of fields do not count for. The batch is searched for the few runs of the text."""
    values = re.sub(rb'"[^"\\]*"\s*:', b":", sent)
    if b"\\" in values:
        values += b"\n" + re.sub(rb"\\(?:u([0-9a-fA-F]{4})|(.))", _unescaped, values)
    kept, at = [], 0
    while at < len(said):
        end = at
        if at + _ECHO <= len(said):
            while end + _ECHO <= len(said) and said[end : end + _ECHO].encode("utf-8", "surrogatepass") in values:
                end += 1
        if end > at:
            kept.append("…")
            at = end + _ECHO - 1
        else:
            kept.append(said[at])
            at += 1
    return "".join(kept)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return chr(int(escape[1], 16)).encode("utf-8", "surrogatepass") if escape[1] else escape[2]


#: So many characters in a row that stand in an event are taken from there.
_ECHO = 8
