"""An answer that no strict decoder reads, cut into its events all the same: one event must not cost its page."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from flicker_dagster.json_items import items
from flicker_dagster.json_paths import readings
from flicker_dagster.json_scan import Damaged, compact, end_of_value, find, read_value
from flicker_dagster.json_text import read_json

#: What stands where an answer should hold its events.
Standing = Literal["list", "null", "absent"]

#: A larger event that no decoder reads keeps the white space it came with.
_MOST_COMPACTED_BYTES = 1 << 20


class CarefulAnswer:
    """The events of an answer byte for byte (compacted only if the vendor pretty-prints), and its paging fields.

    `damaged` numbers those events that are no JSON; `unfit` says why some, the damaged ones among them, can never be sent
    on. Raises ValueError where the answer has another shape, or ends too early; TooMany.
    """

    def __init__(self, body: bytes, results_field: str, fields: list[str], *, most: int) -> None:
        self.events: list[bytes | msgspec.Raw] = []
        self.damaged: set[int] = set()
        self.unfit: dict[int, str] = {}
        self.standing: Standing
        self.standing, start, around = _place_of_list(body, results_field)
        envelope = body
        if self.standing == "list":
            found, end = items(body, start, around, most=most)
            envelope = body[:start] + b"[]" + body[end:]
            for begin, stop, wrong in found:
                self._add(body[begin:stop], wrong, pretty=b"\n" in body)
        self.fields: dict[str, Any] = {}
        for path in fields if around else ():
            places = [place for parts in readings(path) if (place := find(envelope, parts)) is not None]
            if places:
                values = (read_value(envelope[start:end]) for start, end in places)
                self.fields[path] = next((value for value in values if value is not None), None)

    def _add(self, event: bytes, wrong: str | None, *, pretty: bool) -> None:
        if wrong is None and event[:1] not in (b"{", b"[", b'"') and not _is_scalar(event):
            wrong = "it is not JSON"
        index = len(self.events)
        if wrong is not None and wrong.startswith("it is not JSON"):
            self.damaged.add(index)
        elif pretty:
            event = _compacted(event)
        if wrong is not None:
            self.unfit[index] = wrong
        self.events.append(event)


def count_items(body: bytes, results_field: str, *, most: int) -> None:
    """Raise TooMany for a list with more than `most` items; what has another shape is left to others to tell."""
    try:
        standing, start, around = _place_of_list(body, results_field)
        if standing == "list":
            items(body, start, around, most=most)
    except Damaged:
        pass


def _place_of_list(body: bytes, results_field: str) -> tuple[Standing, int, bytes]:
    """What stands where the events should, where that is, and the containers that are open around it. Raises ValueError."""
    if body[:1] not in (b"{", b"["):
        raise ValueError("expected an object or an array")
    if body[:1] == b"[":
        if results_field:
            raise ValueError(f"expected an object with {results_field!r}, found an array")
        return "list", 0, b""
    if not results_field:
        end_of_value(body)
        raise ValueError("expected an array of events at the root; set results_field if they lie deeper")
    standing: Standing = "absent"
    for parts in readings(results_field):
        place = find(body, parts)
        if place is None:
            continue
        if body[place[0] : place[0] + 1] == b"[":
            return "list", place[0], b"{" * len(parts)
        if body[place[0] : place[1]] != b"null":
            raise ValueError(f"expected an array at {results_field!r}, found something else")
        standing = "null"
    end_of_value(body)  # an answer that was cut off says nothing by what is not in it
    return standing, 0, b"{"


def _compacted(event: bytes) -> bytes:
    try:
        return msgspec.json.format(event, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return compact(event) if len(event) <= _MOST_COMPACTED_BYTES else event


def _is_scalar(text: bytes) -> bool:
    try:
        read_json(text)
    except ValueError:
        return False
    return True
