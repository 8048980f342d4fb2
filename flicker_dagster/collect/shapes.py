"""Answers that hold their events in other ways than as one array: several arrays, maps, CSV, lines, sub-events.

Each becomes the events' own bytes where the vendor sent them as JSON, and JSON made from the row where it did not.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator

import msgspec

from flicker_dagster.config.listing import RowSpec
from flicker_dagster.config.parts import failure_of, part
from flicker_dagster.errors import BadAnswer
from flicker_dagster.json_items import TooMany
from flicker_dagster.json_paths import readings
from flicker_dagster.json_scan import find, members

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_GZIP = b"\x1f\x8b"

#: csv keeps a field in memory as a whole; a longer one is refused.
_LONGEST_CELL = 8 << 20

#: Events repeat their row, or the names of its columns: all of an answer's hold so many times `limits.page_bytes` at most.
MOST_GROWTH = 4


class Absent(ValueError):
    """Nothing stands where the events should."""


def inflated(body: bytes, *, at_most_bytes: int) -> bytes:
    """The content of a gzip file; anything else as it is. Raises BadAnswer for one that is damaged or too large."""
    if body[:2] != _GZIP:
        return body
    try:  # such a file may have several members, one behind the other
        text = gzip.GzipFile(fileobj=io.BytesIO(body)).read(at_most_bytes + 1)
    except EOFError:
        raise BadAnswer("the gzip file in the answer was cut off") from None
    except (OSError, zlib.error) as error:
        raise BadAnswer(f"the gzip file in the answer is damaged ({error})") from None
    if len(text) > at_most_bytes:
        raise BadAnswer(f"the gzip file in the answer holds more than limits.page_bytes ({at_most_bytes})")
    return text


def events_of(body: bytes, spec: RowSpec) -> list[bytes]:
    """The events of an answer. Raises Absent where the fields are missing, TooMany, and ValueError for another shape."""
    found: list[bytes] = []
    left_bytes = MOST_GROWTH * spec.page_bytes
    for row in _rows(body, spec):
        for event in (row,) if spec.keys.split is None else _split(row, spec):
            left_bytes -= len(event)
            if len(found) >= spec.page_events:
                raise TooMany
            if left_bytes < 0:
                raise ValueError(f"its events hold more than {MOST_GROWTH} times limits.page_bytes ({spec.page_bytes})")
            found.append(event)
    return found


def _rows(body: bytes, spec: RowSpec) -> Iterator[bytes]:
    shape = spec.keys.shape
    if spec.keys.part is not None:
        yield from _rows_of_part(spec.keys.part, body)
    elif shape == "csv":
        yield from _csv_rows(body, spec)
    elif shape == "ndjson":
        for line in body.splitlines():
            if line.strip():
                yield _value(line)
    else:
        missing = 0
        for path in spec.fields:
            place = _place(body, path)
            if place is None:
                missing += 1
                continue
            found = _rows_at(body[place[0] : place[1]], path, shape)
            yield from found if spec.keys.array_as is None else _with_member(found, spec.keys.array_as, path)
        if missing == len(spec.fields):
            raise Absent


def _rows_of_part(name: str, body: bytes) -> Iterator[bytes]:
    """The events that a part reads out of an answer. Raises ValueError."""
    for event in _read_by_part(name, body):
        yield _value_of_part(name, event)


def _read_by_part(name: str, body: bytes) -> Iterator[object]:
    """What a part gives. What is done with it fails under its own name."""
    read = part(name)
    try:
        yield from read(body)
    except Exception as error:
        raise ValueError(f"the part {name} could not read it: {failure_of(error)}") from None


def _value_of_part(name: str, event: object) -> bytes:
    if not isinstance(event, bytes | bytearray | memoryview):
        raise ValueError(
            f"the part {name} gave an event of type {type(event).__name__}, expected the bytes of its JSON"
        )
    try:
        return _value(bytes(event))
    except (ValueError, RecursionError):
        raise ValueError(f"the part {name} gave an event that is no JSON") from None


def _rows_at(text: bytes, path: str, shape: str) -> Iterator[bytes]:
    where = f"at {path!r}" if path else "at the root"
    if text == b"null":
        return
    if shape == "one":
        if text[:1] != b"{":
            raise ValueError(f"expected an object {where}")
        yield _value(text)
    elif shape == "map":
        if text == b"[]":  # how some languages write an empty map
            return
        if text[:1] != b"{":
            raise ValueError(f"expected an object of events {where}")
        for _, start, end in members(text):
            yield _value(text[start:end])
    else:
        if text[:1] != b"[":
            raise ValueError(f"expected an array {where}")
        for event in _ARRAY.decode(text):
            yield _value(bytes(event))


def _with_member(events: Iterator[bytes], name: str, value: str) -> Iterator[bytes]:
    """The events with a text in front of their members; what is no object stays as it is."""
    member = msgspec.json.encode(name) + b":" + msgspec.json.encode(value)
    for event in events:
        if event[:1] != b"{":
            yield event
        else:
            yield b"{" + member + (b"}" if event[1:2] == b"}" else b"," + event[1:])


def _place(body: bytes, path: str) -> tuple[int, int] | None:
    if not path:
        return 0, len(body)
    return next((place for parts in readings(path) if (place := find(body, parts)) is not None), None)


def _value(text: bytes) -> bytes:
    """One JSON value without white space around and between. Raises ValueError."""
    return msgspec.json.format(text.strip(), indent=-1) if b"\n" in text or b" " in text[:2] else _checked(text)


def _checked(text: bytes) -> bytes:
    msgspec.json.decode(text, type=msgspec.Raw)
    return text


def _csv_rows(body: bytes, spec: RowSpec) -> Iterator[bytes]:
    text = body.decode("utf-8", "replace")
    csv.field_size_limit(_LONGEST_CELL)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next(lines, None)
        if names is None:
            raise Absent
        names = _distinct(names)
        wanted = [*spec.id_paths, *spec.time_paths]
        if wanted and not any(
            any(len(parts) == 1 and parts[0] in names for parts in readings(path)) for path in wanted
        ):
            raise ValueError(f"expected CSV whose first line names its columns, one of them {' or '.join(wanted)}")
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(names):
                raise ValueError(
                    f"line {lines.line_num} of the CSV has {len(cells)} cells, expected {len(names)} as in its header"
                )
            yield msgspec.json.encode(dict(zip(names, cells)))
    except csv.Error as error:
        raise ValueError(f"the CSV cannot be read: {error}") from None


def _distinct(names: list[str]) -> list[str]:
    """The names of columns, of which each comes once: a second `a` is `a_2`."""
    found = dict.fromkeys(names)
    if len(found) == len(names):
        return names
    own: list[str] = []
    seen: dict[str, int] = {}
    for name in names:
        number = seen.get(name, 0) + 1
        if number > 1:
            while f"{name}_{number}" in found:
                number += 1
            found[f"{name}_{number}"] = None
        own.append(name if number == 1 else f"{name}_{number}")
        seen[name] = number
    return own


def _split(row: bytes, spec: RowSpec) -> Iterator[bytes]:
    """One event per element of the row's array; a row without one is an event itself."""
    path = spec.keys.split or ""
    place = _place(row, path)
    if place is None or row[place[0] : place[0] + 1] != b"[":
        yield row
        return
    before = _member_start(row, place[0], path)
    name = msgspec.json.encode(spec.keys.split_as or path.rpartition(".")[2])
    for number, element in enumerate(_ARRAY.decode(row[place[0] : place[1]])):
        behind = (
            b""
            if spec.keys.split_index is None
            else b"," + msgspec.json.encode(spec.keys.split_index) + b":%d" % number
        )
        yield b"".join([row[:before], name, b":", bytes(element), behind, row[place[1] :]])


def _member_start(row: bytes, value_at: int, path: str) -> int:
    """Where the member whose value begins there begins itself: at the quotation mark of its name."""
    name = msgspec.json.encode(path.rpartition(".")[2])
    before = row.rfind(name, 0, value_at)
    if before < 0 or row[before + len(name) : value_at].strip() != b":":  # written with escapes
        before = row.rfind(b'"', 0, row.rfind(b'"', 0, value_at))
    return before
