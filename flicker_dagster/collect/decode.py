"""From an answer's bytes to events, ids, times and paging fields. Nothing else is decoded, and no event is rewritten."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from flicker_dagster.collect.identity import (
    ContentDigests,
    digest_of_parts,
    digest_of_value,
    digests_of_texts,
)
from flicker_dagster.collect.paths import Reader, lookup, split_path
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer
from flicker_dagster.json_text import read_json, without_lone_surrogates
from flicker_dagster.times import parse_time_ms, times_of_texts
from flicker_dagster.types import DecodedPage

Scalar = str | int | float | bool
SHOWN_CHARS = 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: A string, or white space outside of one.
_STRING_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)

#: A member's name in JSON text.
_NAME = re.compile(rb'"([^"\\]+)"\s*:')


class PageDecoder:
    """Decodes the answers of one walk of one source."""

    def __init__(self, source: SourceConfig) -> None:
        self.source = source
        self._ids = [split_path(path) for path in _as_list(source.id_field)]
        self._times = [split_path(path) for path in _as_list(source.timestamp_field)]
        self._content = ContentDigests(distinct=source.equal_rows == "distinct")
        wanted: dict[tuple[str, ...], Any] = dict.fromkeys([*self._ids, *self._times], Scalar)
        self._event = Reader(wanted, "Event")
        self._events = msgspec.json.Decoder(list[self._event.type])
        self._root = split_path(source.results_field)
        self._fields = _paging_fields(source)
        self._envelope: Reader | None = None
        if self._root or self._fields:
            leaves: dict[tuple[str, ...], Any] = {split_path(path): Any for path in self._fields}
            if self._root:
                leaves[self._root] = list[msgspec.Raw]
            self._envelope = Reader(leaves, "Envelope")
            self._envelope_decoder = msgspec.json.Decoder(self._envelope.type)
        if self._root:
            self._rows_below = Reader({self._root: list[self._event.type]}, "Rows")
            self._rows_decoder = msgspec.json.Decoder(self._rows_below.type)
        self._array = msgspec.json.Decoder(list[msgspec.Raw])

    def decode(self, body: bytes) -> tuple[DecodedPage, dict[str, Any]]:
        """The page and its paging fields by configured path. Raises BadAnswer for anything but the promised shape."""
        size_bytes = len(body)
        body = body.removeprefix(BYTE_ORDER_MARK).strip()
        try:
            events, fields, text = self._events_of(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadAnswer(f"{self._what_is_wrong(body)} ({error}); it began: {_begin(body)}") from None
        failed = fields.get(self.source.error_field) if self.source.error_field else None
        if failed:
            raise BadAnswer(f"the answer reports an error in {self.source.error_field}: {str(failed)[:SHOWN_CHARS]!r}")
        try:
            digests, times_ms = self._ids_and_times(events, text)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(f"{self._what_is_wrong(body)} ({error}); it began: {_begin(body)}") from None
        return DecodedPage(events, digests, times_ms, size_bytes), fields

    def _events_of(self, body: bytes) -> tuple[list[bytes | msgspec.Raw], dict[str, Any], bytes]:
        """Events, paging fields, and the text in which the events lie. One lone surrogate, which no strict decoder reads,
        must not cost the whole page."""
        try:
            text = _compact(body)
            return *self._split(text), text
        except msgspec.DecodeError:
            repaired = without_lone_surrogates(body)
            if repaired == body:
                raise
        if b"\n" in body:
            body = _compact_text(body)
            repaired = without_lone_surrogates(body)
        events, fields = self._split(repaired)
        return _same_slices(events, repaired, body), fields, body

    def _split(self, body: bytes) -> tuple[list[bytes | msgspec.Raw], dict[str, Any]]:
        if body.startswith(b"["):
            if self._root:
                raise msgspec.DecodeError(f"expected an object with {self.source.results_field!r}, found an array")
            return self._array.decode(body), {}  # type: ignore[return-value]
        if self._envelope is None or not self._root:
            raise msgspec.DecodeError("expected an array of events at the root; set results_field if they lie deeper")
        answer = self._envelope_decoder.decode(body)
        getters = self._envelope.getters
        fields = {path: getters[split_path(path)](answer) for path in self._fields}
        events = getters[self._root](answer)
        if events is None and not self.source.results_optional and not self._envelope.holds(self._root, answer):
            # A wrong path, or an error in a 200, must not pass for a quiet vendor: sweeps would certify its windows.
            raise msgspec.DecodeError(
                f"results_field {self.source.results_field!r} is not in it; set results_optional if the vendor leaves it "
                "out where there are no events"
            )
        return events or [], fields

    def _ids_and_times(self, events: list, text: bytes) -> tuple[list[bytes], list[int | None]]:
        """`text` is read a second time, for nothing but ids and times: cheaper than reading event by event."""
        if not events:
            return [], []
        try:
            if self._root:
                rows = self._rows_below.getters[self._root](self._rows_decoder.decode(text))
            else:
                rows = self._events.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._slowly(events)
        columns = [self._event.column(parts, rows) for parts in self._times]
        return self._digests(events, rows), self._best_times(columns, len(events))

    def _digests(self, events: list, rows: list) -> list[bytes]:
        if len(self._ids) == 1:
            ids = self._event.column(self._ids[0], rows)
            if set(map(type, ids)) == {str} and "" not in ids:
                return digests_of_texts(ids)
            return [self._single(i, event) for i, event in zip(ids, events)]
        columns = [self._event.column(parts, rows) for parts in self._ids]
        return (
            [self._composite(parts, event) for parts, event in zip(zip(*columns), events)]
            if columns
            else [self._content.digest(bytes(event)) for event in events]
        )

    def _single(self, value: Any, event: Any) -> bytes:
        """An id that is null, absent or empty identifies nothing: the content does."""
        return self._content.digest(bytes(event)) if value is None or value == "" else digest_of_value(value)

    def _composite(self, parts: tuple[Any, ...], event: Any) -> bytes:
        """An id with a part missing identifies nothing: the content does."""
        return self._content.digest(bytes(event)) if not parts or None in parts else digest_of_parts(parts)

    def _slowly(self, events: list) -> tuple[list[bytes], list[int | None]]:
        """Some field holds what a strict decoder refuses (an object, 1e400, bad UTF-8): look at each event by itself."""
        digests: list[bytes] = []
        times_ms: list[int | None] = []
        for event in events:
            row = read_json(bytes(event))
            ids = tuple(lookup(row, parts) for parts in self._ids)
            digests.append(self._single(ids[0], event) if len(ids) == 1 else self._composite(ids, event))
            values = (lookup(row, parts) for parts in self._times)
            found = (parse_time_ms(value, self.source.timestamp_format) for value in values)
            times_ms.append(next((ms for ms in found if ms is not None), None))
        return digests, times_ms

    def _best_times(self, columns: list[list[Any]], count: int) -> list[int | None]:
        fmt = self.source.timestamp_format
        times_ms: list[int | None] = [None] * count
        for column in columns:
            if None not in times_ms:
                break
            if fmt in ("auto", "iso8601", "rfc3339") and set(map(type, column)) == {str}:
                read = times_of_texts(column)
            else:
                read = [parse_time_ms(value, fmt) for value in column]
            times_ms = (
                read if column is columns[0] else [old if old is not None else new for old, new in zip(times_ms, read)]
            )
        return times_ms

    def _what_is_wrong(self, body: bytes) -> str:
        if body[:1] == b"<":
            return "the answer is HTML, not JSON: a login page, a proxy or a wrong endpoint"
        if not body:
            return "the answer is empty"
        return "the answer is not the JSON that was expected"


def _compact(body: bytes) -> bytes:
    """Pretty-printed JSON on one line; numbers, escapes and duplicate keys untouched. Other JSON as it is."""
    return msgspec.json.format(body, indent=-1) if b"\n" in body else body


def _compact_text(body: bytes) -> bytes:
    """The same for JSON that a strict decoder refuses."""
    return _STRING_OR_SPACE.sub(lambda found: found[1] or b"", body)


def _same_slices(events: list, of: bytes, body: bytes) -> list[bytes | msgspec.Raw]:
    """The slices of `body` that lie where the events lie in `of`; both are equally long."""
    slices: list[bytes | msgspec.Raw] = []
    at = 0
    for event in map(bytes, events):
        at = of.index(event, at)
        slices.append(body[at : at + len(event)])
        at += len(event)
    return slices


def _paging_fields(source: SourceConfig) -> list[str]:
    paging = source.pagination
    paths = [paging.next_cursor_field, paging.next_page_field, paging.has_more_field, paging.next_url_field]
    return [path for path in dict.fromkeys([*paths, source.error_field]) if path]


def _as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _begin(body: bytes) -> str:
    """How an answer began, for a message. Of JSON only the names: its values may be events, which belong in no log."""
    shown = body[:SHOWN_CHARS]
    if shown[:1] in (b"{", b"["):
        names = [name.decode("utf-8", "replace") for name in dict.fromkeys(_NAME.findall(shown))]
        return f"{shown[:1].decode()}… with the names {names}"
    return repr(shown.decode("utf-8", "replace"))
