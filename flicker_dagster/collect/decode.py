"""From an answer's bytes to events, ids, times and paging fields. Nothing else is decoded, and no event is rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec

from flicker_dagster.collect.answer_errors import SHOWN_NAMES, Mask, shown, shown_name, told_at, told_errors
from flicker_dagster.collect.careful import CarefulAnswer, Standing, count_items
from flicker_dagster.collect.event_fields import EventFields, shape_of
from flicker_dagster.collect.identity import (
    ContentDigests,
    digest_of_parts,
    digest_of_value,
    digests_of_texts,
)
from flicker_dagster.collect.paths import Reader, reader_of
from flicker_dagster.collect.shapes import Absent, events_of
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.errors import BadAnswer
from flicker_dagster.json_items import TooMany
from flicker_dagster.json_paths import readings
from flicker_dagster.json_scan import find, names, read_value
from flicker_dagster.times import parse_time_ms, times_of_texts
from flicker_dagster.types import DecodedPage

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class PageDecoder:
    """Decodes the answers of one walk. `fields` are the paths of the answer that paging rests on; `mask` takes the source's
    secrets out of what the vendor says."""

    def __init__(self, spec: RowSpec, fields: Iterable[str] = (), *, mask: Mask = str) -> None:
        self.spec = spec
        self._mask = mask
        self._event = EventFields(spec)
        self._content = ContentDigests(distinct=spec.equal_rows == "distinct", repeats_last=spec.repeats_last)
        own = [] if spec.error_field is None else [spec.error_field]
        self._paging = [path for path in dict.fromkeys([*fields, *own]) if path]
        self._where = spec.fields[0] if spec.plain else ""
        # An answer is read once for ids, times and paging fields, and for its events only if one of them is new.
        self._rows = _AnswerReader(self._where, self._paging, self._event.reader.type)
        self._raw = _AnswerReader(self._where, self._paging, msgspec.Raw)

    def decode(self, body: bytes, *, no_content: bool = False) -> tuple[DecodedPage, dict[str, Any]]:
        """The page, and by path those paging fields that it holds. Raises BadAnswer for anything but the promised shape.

        `no_content` is for an answer that says in so many words that there is nothing (HTTP 204).
        """
        self._content.begin_page()
        size_bytes = len(body)
        if self.spec.keys.part is None:  # a part may read what is no text
            body = body.removeprefix(BYTE_ORDER_MARK).strip()
        if no_content or (self.spec.optional and body in (b"", b"null")):
            return DecodedPage(list, [], [], size_bytes), {}
        try:
            self._refuse_too_many(body)
            page, fields, standing = self._page(body, size_bytes) if self.spec.plain else self._shaped(body, size_bytes)
        except TooMany:
            raise BadAnswer(
                f"the answer holds more events than limits.page_events ({self.spec.page_events}), so it is not "
                "read: ask for smaller pages (pagination.page_size) or spans (slice_ms), or raise limits.page_events "
                "where the memory allows it"
            ) from None
        except (msgspec.DecodeError, ValueError) as error:
            self._refuse_unreadable(body, size_bytes, error)
        self._refuse_if_error(body, standing, fields, len(page))
        return page, fields

    def begin(self, scope: bytes) -> None:
        """Read another listing, or object, of which `scope` (64 bytes at most) tells that it is another."""
        self._content.begin(scope)

    def go_on(self, equal_rows: dict[str, int]) -> None:
        """Count equal rows on from where an interrupted walk stood."""
        self._content.go_on(equal_rows)

    def equal_rows(self, page: DecodedPage) -> dict[str, int]:
        """What a walk that goes on behind the page has to know of equal rows."""
        return self._content.counted(page.times_ms)

    def _page(self, body: bytes, size_bytes: int) -> tuple[DecodedPage, dict[str, Any], Standing]:
        try:
            text = msgspec.json.format(body, indent=-1) if b"\n" in body else body
            rows, fields, standing = self._rows.read(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._careful_page(body, size_bytes)
        page = DecodedPage(lambda: self._raw.read(text)[0] or [], [], [], size_bytes)
        if rows:
            page.digests = self._digests(rows, page)
            columns = [self._event.reader.column(path, rows) for path in self._event.time_paths]
            page.times_ms = self._best_times(columns, len(rows))
            if self._event.axis_path is not None:
                page.axis_ms = self._best_times([self._event.reader.column(self._event.axis_path, rows)], len(rows))
            if None in page.times_ms:
                untimed = page.times_ms.index(None)
                page.untimed_shape = shape_of([column[untimed] for column in columns])
        return page, fields, standing

    def _shaped(self, body: bytes, size_bytes: int) -> tuple[DecodedPage, dict[str, Any], Standing]:
        """An answer that holds its events in another way than as one array."""
        fields = fields_of(body, self._paging)
        try:
            events = events_of(body, self.spec)
        except Absent:
            return DecodedPage(list, [], [], size_bytes), fields, "absent"
        page, _, standing = self._page(b"[%b]" % b",".join(events), size_bytes)
        return page, fields, standing

    def _careful_page(self, body: bytes, size_bytes: int) -> tuple[DecodedPage, dict[str, Any], Standing]:
        """Some field holds what a strict decoder refuses (an object, 1e400, bad UTF-8, half an emoji), or an event is no
        JSON at all: each is looked at by itself, and costs no other."""
        answer = CarefulAnswer(body, self._where, self._paging, most=self.spec.page_events)
        page = DecodedPage(lambda: answer.events, [], [], size_bytes)
        page.unfit = answer.unfit
        page.axis_ms = None if self._event.axis_path is None else []
        for index, event in enumerate(answer.events):
            ids, times = ((), [None]) if index in answer.damaged else self._event.ids_and_times(bytes(event))
            page.digests.append(self._single(ids[0], event) if len(ids) == 1 else self._composite(ids, event))
            time_ms = self._event.best_time_ms(times)
            page.times_ms.append(time_ms)
            if page.axis_ms is not None:
                page.axis_ms.append(None if index in answer.damaged else self._event.axis_ms(bytes(event)))
            if time_ms is None and index not in answer.damaged and page.untimed_shape is None:
                page.untimed_shape = shape_of(times)
        return page, answer.fields, answer.standing

    def _refuse_too_many(self, body: bytes) -> None:
        """Decoding takes memory for each event. More than there are opening braces there cannot be (what is no object is
        counted by the careful reading), nor more than `{},` fits in, and only where these are many they are worth a count."""
        most = self.spec.page_events
        if self.spec.plain and len(body) > 3 * most and body.count(b"{") > most:
            count_items(body, self._where, most=most)

    def _refuse_unreadable(self, body: bytes, size_bytes: int, error: Exception) -> NoReturn:
        """Raise BadAnswer for an answer of another shape: with the error that it speaks of, where it does."""
        field = self.spec.error_field
        told = told_at(body, field, self._mask) if field else None
        if told is not None:
            raise BadAnswer(f"the answer reports an error in {field}: {told}")
        errors, words = told_errors(body, self._mask)
        if errors:
            raise BadAnswer(f"the answer reports an error ({', '.join([*errors, *words])}); {error}")
        raise BadAnswer(f"{_what_is_wrong(body)} ({error}); it has {_described(body, size_bytes)}")

    def _refuse_if_error(self, body: bytes, standing: Standing, fields: dict[str, Any], rows: int) -> None:
        """Raise BadAnswer where the answer speaks of an error, which must not be told as its effect: a missing
        results_field. Nor may a wrong path or an error in a 200 pass for a quiet vendor: sweeps would certify its
        windows."""
        field = self.spec.error_field
        if field and fields.get(field):
            raise BadAnswer(f"the answer reports an error in {field}: {shown(fields[field], self._mask)}")
        if standing == "list":
            self._refuse_if_empty_by_error(body, rows)
            return
        errors, words = told_errors(body, self._mask)
        named = " or ".join(map(repr, self.spec.fields))
        missing = f"results_field {named} is not in it"
        if errors:
            raise BadAnswer(f"the answer reports an error ({', '.join([*errors, *words])}), and {missing}")
        if standing == "null" or self.spec.optional:
            return
        advice = "set results_optional if the vendor leaves it out where there are no events"
        if words:
            advice = f"it says {', '.join(words)}"
        raise BadAnswer(
            f"the answer is not the JSON that was expected ({missing}; {advice}); it has {_described(body, len(body))}"
        )

    def _refuse_if_empty_by_error(self, body: bytes, rows: int) -> None:
        """A list without events beside an error says nothing of what there is."""
        if rows or self.spec.fields == ("",):
            return
        errors, words = told_errors(body, self._mask, by_name_alone=True)
        if errors:
            raise BadAnswer(f"the answer reports an error ({', '.join([*errors, *words])}), and holds no events")

    def _digests(self, rows: list, page: DecodedPage) -> list[bytes]:
        columns = [self._event.reader.column(path, rows) for path in self._event.id_paths]
        if len(columns) == 1:
            ids = columns[0]
            if set(map(type, ids)) == {str} and all(ids):
                return digests_of_texts(ids)
            return [self._single(i, event) for i, event in zip(ids, page.events)]
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

    def _best_times(self, columns: list[list[Any]], count: int) -> list[int | None]:
        fmt, zone = self.spec.time_format, self.spec.zone
        times_ms: list[int | None] = [None] * count
        for column in columns:
            if None not in times_ms:
                break
            if fmt in ("auto", "iso8601", "rfc3339") and set(map(type, column)) == {str}:
                read = times_of_texts(column, zone)
            else:
                read = [parse_time_ms(value, fmt, zone) for value in column]
            times_ms = (
                read if column is columns[0] else [old if old is not None else new for old, new in zip(times_ms, read)]
            )
        return times_ms


class _AnswerReader:
    """Reads the items of an answer, of one type, and its paging fields."""

    def __init__(self, root: str, fields: list[str], item: Any) -> None:
        self._root = root
        self._fields = fields
        self._array = msgspec.json.Decoder(list[item])
        self._envelope: Reader | None = None
        if root:
            self._envelope = reader_of("Envelope", *({**dict.fromkeys(fields, msgspec.Raw), root: list[item]}.items()))
            self._decoder = msgspec.json.Decoder(self._envelope.type)

    def read(self, text: bytes) -> tuple[list[Any] | None, dict[str, Any], Standing]:
        """Items, by path those fields that are there, and what stands where the items should.

        Raises msgspec.DecodeError for anything but the promised shape.
        """
        if self._envelope is None:
            return self._array.decode(text), {}, "list"
        answer = self._decoder.decode(text)
        envelope = self._envelope
        fields = {
            path: _first_value(envelope.each(path, answer)) for path in self._fields if envelope.holds(path, answer)
        }
        items = self._envelope.get(self._root, answer)
        if items is not None:
            return items, fields, "list"
        return None, fields, "null" if self._envelope.holds(self._root, answer) else "absent"


def fields_of(body: bytes, paths: Iterable[str]) -> dict[str, Any]:
    """By path those fields that an answer holds, null where nothing else stands at any reading of it. Raises ValueError for
    one that is damaged before them."""
    fields: dict[str, Any] = {}
    for path in paths if body[:1] == b"{" else ():
        places = [place for parts in readings(path) if (place := find(body, parts)) is not None]
        if places:
            values = (read_value(body[start:end]) for start, end in places)
            fields[path] = next((value for value in values if value is not None), None)
    return fields


def _first_value(found: list[msgspec.Raw]) -> Any:
    """The first of several values that is not null."""
    return next((value for raw in found if (value := read_value(bytes(raw))) is not None), None)


def _what_is_wrong(body: bytes) -> str:
    if body[:1] == b"<":
        return "the answer is HTML, not JSON: a login page, a proxy or a wrong endpoint"
    if not body:
        return "the answer is empty"
    return "the answer is not the JSON that was expected"


def _described(body: bytes, size_bytes: int) -> str:
    """An answer, for a message: its size and names. Its values may be events, which belong in no log."""
    what = f"{size_bytes} bytes"
    found = [
        shown_name(name) for name in names(body[body.find(b"{") :] if body[:1] == b"[" else body, most=SHOWN_NAMES)
    ]
    return f"{what} with the names {', '.join(found)}" if found else what
