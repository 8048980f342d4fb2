"""Finding secrets in a text, however they are spelt there: the text is decoded, rather than the secrets encoded.

What is looked for is every run of eight characters of a secret, so that half of one is found as well. A text is read as it
is, without its escapes (percent, JSON, Python, HTML, mixed and nested), as hexadecimal digits, and as base64 at any
alignment; what was decoded is read once more in the same ways. Letters are compared without regard to case.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterable, Iterator

import msgspec

#: So many characters in a row of a secret are taken for the secret.
RUN = 8

#: What lies further behind in a secret is not looked for.
LONGEST = 16 * 1024

#: How often something decoded is decoded again.
ROUNDS = 3

_ESCAPE = re.compile(
    rb"%([0-9a-fA-F]{2})|\\{1,9}u([0-9a-fA-F]{4})|\\{1,9}u\{([0-9a-fA-F]{1,6})\}|\\{1,9}U([0-9a-fA-F]{8})"
    rb"|\\{1,9}x([0-9a-fA-F]{2})|\\{1,9}([0-3][0-7]{2})|&#[xX]([0-9a-fA-F]{1,6});?|&#([0-9]{1,7});?"
    rb"|&([a-zA-Z][a-zA-Z0-9]{1,31});|\\{1,9}([^\\])|(\\{2,9})"
)
_BASES = (16, 16, 16, 16, 16, 8, 16, 10)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a", b"0": b"\0"}
_HEX = re.compile(rb"(?:(?:0[xX])?[0-9a-fA-F]{2}[\s:,.-]{0,2}){4,}[0-9a-fA-F]?")
_DIGIT = re.compile(rb"[0-9a-fA-F]")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]\s*){6,}")
_STANDARD = bytes.maketrans(b"-_", b"+/")


class _Reading(msgspec.Struct):
    """A text as decoded in some way: each of its bytes, and where in the original that byte's spelling begins and ends."""

    data: bytes
    starts: list[int] | range
    ends: list[int] | range


class Finder:
    """Finds the runs of `secrets` (of eight characters and more) and, as they are, `short` ones."""

    def __init__(self, secrets: Iterable[str], short: Iterable[str] = ()) -> None:
        forms = {form.lower() for secret in secrets for form in _forms_of(secret[:LONGEST])}
        runs = {form[at : at + RUN] for form in forms for at in range(len(form) - RUN + 1)}
        self._runs = {run for run in runs if run.strip()}
        shorts = sorted({form for each in short for form in _forms_of(each)}, key=len, reverse=True)
        self._short = re.compile(b"|".join(map(re.escape, filter(None, shorts)))) if shorts else None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in the text something secret stands, in order and apart from each other."""
        if not self._runs and self._short is None:
            return []
        found: list[tuple[int, int]] = []
        for reading in _readings(_as_it_is(text)):
            found += self._in(reading)
        found.sort()
        merged: list[tuple[int, int]] = []
        for start, end in found:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return merged

    def _in(self, reading: _Reading) -> Iterator[tuple[int, int]]:
        data = reading.data.lower()
        runs, starts, ends = self._runs, reading.starts, reading.ends
        for at in range(len(data) - RUN + 1) if runs else ():
            if data[at : at + RUN] in runs:
                yield starts[at], ends[at + RUN - 1]
        for match in self._short.finditer(reading.data) if self._short is not None else ():
            yield starts[match.start()], ends[match.end() - 1]


def _forms_of(secret: str) -> set[bytes]:
    """A secret as it is, as forms spell its spaces, as JSON's escapes cut what lies beyond 16 bits in two, and as it would
    be read if it held an escape itself."""
    in_two = "".join(map(_in_two, secret))
    forms: set[bytes] = set()
    for spelt in {secret, in_two}:
        reading: _Reading | None = _as_it_is(spelt)
        for _ in range(ROUNDS):
            if reading is not None:
                forms |= {reading.data, reading.data.replace(b" ", b"+")}
                reading = _unescaped(reading)
    return forms


def _in_two(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(chr(int.from_bytes(units[at : at + 2], "big")) for at in range(0, len(units), 2))


def _as_it_is(text: str) -> _Reading:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) == len(text):
        return _Reading(data, range(len(data)), range(1, len(data) + 1))
    starts = [at for at, character in enumerate(text) for _ in character.encode("utf-8", "surrogatepass")]
    return _Reading(data, starts, [at + 1 for at in starts])


def _readings(text: _Reading) -> Iterator[_Reading]:
    """The text, and everything that it may be the spelling of."""
    layer = [text]
    for _ in range(ROUNDS):
        yield from layer
        layer = [decoded for reading in layer for decoded in _decoded(reading)]
    yield from layer


def _decoded(reading: _Reading) -> Iterator[_Reading]:
    if (plain := _unescaped(reading)) is not None:
        yield plain
    for run in _HEX.finditer(reading.data):
        yield from _from_hex(reading, run.start(), run.end())
    for run in _BASE64.finditer(reading.data):
        yield from _from_base64(reading, run.start(), run.end())


def _unescaped(reading: _Reading) -> _Reading | None:
    data = reading.data
    plain, starts, ends = bytearray(), [], []
    at = 0
    for escape in _ESCAPE.finditer(data):
        means = _meaning(escape)
        if means is None:
            continue
        plain += data[at : escape.start()]
        starts += reading.starts[at : escape.start()]
        ends += reading.ends[at : escape.start()]
        plain += means
        starts += [reading.starts[escape.start()]] * len(means)
        ends += [reading.ends[escape.end() - 1]] * len(means)
        at = escape.end()
    if at == 0:
        return None
    plain += data[at:]
    return _Reading(bytes(plain), starts + list(reading.starts[at:]), ends + list(reading.ends[at:]))


def _meaning(escape: re.Match[bytes]) -> bytes | None:
    groups = escape.groups()
    for digits, base in zip(groups, _BASES):
        if digits is not None:
            code = int(digits, base)
            if escape[0][:1] == b"%":
                return bytes([code])
            return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else None
    named, single, slashes = groups[len(_BASES) :]
    if named is not None:
        means = html.unescape(escape[0].decode())
        return means.encode() if means != escape[0].decode() else None
    return b"\\" if slashes is not None else _CONTROLS.get(single, single)


def _from_hex(reading: _Reading, start: int, end: int) -> Iterator[_Reading]:
    data = reading.data
    places = [at for at in range(start, end) if _DIGIT.match(data, at) and data[at : at + 2].lower() != b"0x"]
    text = bytes(data[at] for at in places)
    for shift in (0, 1):
        used = places[shift : shift + (len(places) - shift) // 2 * 2]
        yield _Reading(
            binascii.unhexlify(text[shift : shift + len(used)]),
            [reading.starts[at] for at in used[::2]],
            [reading.ends[at] for at in used[1::2]],
        )


def _from_base64(reading: _Reading, start: int, end: int) -> Iterator[_Reading]:
    places = [at for at in range(start, end) if not reading.data[at : at + 1].isspace()]
    letters = bytes(reading.data[at] for at in places).translate(_STANDARD)
    for shift in range(4):
        run = letters[shift:]
        run = run[: len(run) // 4 * 4] if len(run) % 4 == 1 else run + b"=" * (-len(run) % 4)
        data = binascii.a2b_base64(run)
        yield _Reading(
            data,
            [reading.starts[places[shift + number // 3 * 4 + number % 3]] for number in range(len(data))],
            [reading.ends[places[shift + number // 3 * 4 + number % 3 + 1]] for number in range(len(data))],
        )
