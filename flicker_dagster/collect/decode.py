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
        root, fields = split_path(source.results_field), _paging_fields(source)
        # An answer is read once for ids, times and paging fields, and for its events only if one of them is new.
        self._rows = _AnswerReader(root, fields, self._event.type)
        self._raw = _AnswerReader(root, fields, msgspec.Raw)

    def decode(self, body: bytes) -> tuple[DecodedPage, dict[str, Any]]:
        """The page and its paging fields by configured path. Raises BadAnswer for anything but the promised shape."""
        size_bytes = len(body)
        body = body.removeprefix(BYTE_ORDER_MARK).strip()
        try:
            page, fields = self._page(body, size_bytes)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            raise BadAnswer(f"{self._what_is_wrong(body)} ({error}); it began: {_begin(body)}") from None
        failed = fields.get(self.source.error_field) if self.source.error_field else None
        if failed:
            raise BadAnswer(f"the answer reports an error in {self.source.error_field}: {str(failed)[:SHOWN_CHARS]!r}")
        return page, fields

    def _page(self, body: bytes, size_bytes: int) -> tuple[DecodedPage, dict[str, Any]]:
        try:
            text = _compact(body)
            rows, fields = self._answer(self._rows, text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            events, fields = self._events_of(body)
            return DecodedPage(lambda: events, *self._slowly(events), size_bytes), fields
        page = DecodedPage(lambda: self._answer(self._raw, text)[0], [], [], size_bytes)
        if rows:
            page.digests = self._digests(rows, page)
            page.times_ms = self._best_times([self._event.column(parts, rows) for parts in self._times], len(rows))
        return page, fields

    def _events_of(self, body: bytes) -> tuple[list[bytes | msgspec.Raw], dict[str, Any]]:
        """Events and paging fields where something is not as it should be. One lone surrogate, which no strict decoder
        reads, must not cost the whole page."""
        try:
            return self._answer(self._raw, _compact(body))
        except msgspec.DecodeError:
            repaired = without_lone_surrogates(body)
            if repaired == body:
                raise
        if b"\n" in body:
            body = _compact_text(body)
            repaired = without_lone_surrogates(body)
        events, fields = self._answer(self._raw, repaired)
        return _same_slices(events, repaired, body), fields

    def _answer(self, reader: _AnswerReader, text: bytes) -> tuple[list[Any], dict[str, Any]]:
        """The items and paging fields of an answer. Raises msgspec.DecodeError for anything but the promised shape."""
        items, fields, there = reader.read(text)
        if items is None and not self.source.results_optional and not there:
            # A wrong path, or an error in a 200, must not pass for a quiet vendor: sweeps would certify its windows.
            raise msgspec.DecodeError(
                f"results_field {self.source.results_field!r} is not in it; set results_optional if the vendor leaves it "
                "out where there are no events"
            )
        return items or [], fields

    def _digests(self, rows: list, page: DecodedPage) -> list[bytes]:
        if len(self._ids) == 1:
            ids = self._event.column(self._ids[0], rows)
            if set(map(type, ids)) == {str} and "" not in ids:
                return digests_of_texts(ids)
            return [self._single(i, event) for i, event in zip(ids, page.events)]
        columns = [self._event.column(parts, rows) for parts in self._ids]
        return (
            [self._composite(parts, event) for parts, event in zip(zip(*columns), page.events)]
            if columns
            else [self._content.digest(bytes(event)) for event in page.events]
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


class _AnswerReader:
    """Reads the items of an answer, of one type, and its paging fields."""

    def __init__(self, root: tuple[str, ...], fields: list[str], item: Any) -> None:
        self._root = root
        self._fields = {path: split_path(path) for path in fields}
        self._array = msgspec.json.Decoder(list[item])
        self._envelope: Reader | None = None
        if root:
            self._envelope = Reader({**dict.fromkeys(self._fields.values(), Any), root: list[item]}, "Envelope")
            self._decoder = msgspec.json.Decoder(self._envelope.type)

    def read(self, text: bytes) -> tuple[list[Any] | None, dict[str, Any], bool]:
        """Items, fields by path, and whether anything stands where the items should."""
        if text.startswith(b"["):
            if self._root:
                raise msgspec.DecodeError(f"expected an object with {'.'.join(self._root)!r}, found an array")
            return self._array.decode(text), {}, True
        if self._envelope is None:
            raise msgspec.DecodeError("expected an array of events at the root; set results_field if they lie deeper")
        answer = self._decoder.decode(text)
        getters = self._envelope.getters
        fields = {path: getters[parts](answer) for path, parts in self._fields.items()}
        items = getters[self._root](answer)
        return items, fields, items is not None or self._envelope.holds(self._root, answer)


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
