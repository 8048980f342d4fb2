"""What can be found out about an API from a few of its answers: where the events are, what identifies and dates them, in which
order they come, how the listing goes on, and whether it heeds the span asked for. Each is checked by a further request."""

from __future__ import annotations

import json
import re

import msgspec

from flicker_dagster.collect.quota_headers import read_quotas
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import FlickerError
from flicker_dagster.infer.asking import Asked, Asker, Enough
from flicker_dagster.infer.columns import (
    IdColumn,
    TimeColumn,
    called_like_times,
    columns_of,
    ids_in,
    order_of,
    times_in,
)
from flicker_dagster.infer.finding import Findings
from flicker_dagster.infer.names import ERRORS, last_of, plain
from flicker_dagster.infer.no_events import PARTS, without_events
from flicker_dagster.infer.question import Question
from flicker_dagster.infer.rows import Array, Rows, arrays_in, empty_arrays_in
from flicker_dagster.infer.second_page import NextPage, SecondPage, note_limit, note_way
from flicker_dagster.infer.spans import Span, check_span, find_start
from flicker_dagster.types import WalkState

#: Keys by which a listing goes on.
WAYS = frozenset(
    f"paging.{key}" for key in ("cursor", "following", "more", "page", "first_page", "offset", "repeats", "total")
)


class Found(msgspec.Struct):
    """What is known in the end. `doubts` are sentences for a person; `page_two` says whether a second page came."""

    findings: Findings
    requests: int = 0
    events: int = 0
    page_two: bool = False
    quotas: list[str] = []
    doubts: list[str] = []
    #: There are more events than anything that is known leads to.
    cut: bool = False
    #: Why no source can hold it.
    fault: str = ""

    @property
    def said(self) -> list[str]:
        return [*self.doubts, *([self.fault] if self.fault else [])]

    @property
    def whole(self) -> bool:
        """Is it a source that can be collected from?"""
        return self.findings.get("timestamp_field") is not None and not self.cut and not self.fault


class Inquiry:
    """One inquiry. With `tries` likely names of parameters are tried that nothing in the answers shows."""

    def __init__(self, asked: Question, asker: Asker, *, now_ms: int, tries: bool = False) -> None:
        self._asked, self._asker, self._now_ms, self._tries = asked, asker, now_ms, tries
        self._found = Found(asked.findings)
        self._state = WalkState(start_ms=asked.start_ms, end_ms=asked.end_ms, began_ms=now_ms)

    def run(self) -> Found:
        """Raises FlickerError where the first request is not answered."""
        if self._asked.limit is not None:
            note_limit(self._found.findings, self._asked.limit, "guess", "given in the question")
        first = self._asker.ask(self._found.findings.source(), self._state)
        try:
            self._learn(first)
        except Enough as error:
            self._note_early(error)
        self._found.requests = self._asker.requests
        return self._found

    def _note_early(self, error: Enough) -> None:
        unseen = "" if self._found.page_two else ", and no second page was seen"
        self._found.doubts.append(f"The inquiry ended early: {error}{unseen}.")

    # -- one thing after the other

    def _learn(self, first: Asked) -> None:
        found = self._found
        first, array = self._with_events(first)
        if array is None:
            found.doubts.append(without_events(first.answer))
            return
        rows, found.events = array.rows, len(array.rows)
        quotas = read_quotas(first.answer.headers, RateLimit(), now_ms=first.answer.vendor_now_ms or self._now_ms)
        found.quotas = [each.name for each in quotas]
        columns = columns_of(rows)
        times = times_in(columns, now_ms=self._now_ms)
        ids = ids_in(columns, times)
        self._note_columns(times, ids, len(rows))
        if not times:
            named = called_like_times(columns)
            like = f" ({', '.join(named[:5])}: by name alone, and in no form that is known)" if named else ""
            found.doubts.append(f"No member of the events is a time{like}: without one nothing can be collected.")
            return
        following, span = NextPage(), None
        try:
            following = self._pages().search(first, array, ids, times[0])
            found.page_two = bool(following.rows)
            if following.rows:
                self._confirm(rows, following.rows, times[0], ids)
            if self._asked.time_spots:
                span = check_span(self._asker, self._asked, found.findings, times[0], rows, now_ms=self._now_ms)
            elif self._tries:
                find_start(self._asker, found.findings, times[0], rows)
        except Enough as error:  # what is not known by now is said all the same
            self._note_early(error)
        self._note_end(following, span, rows, times[0])
        if found.findings.get("request.start") is None and "{start}" not in str(found.findings.raw()):
            self._note_no_start()

    def _note_no_start(self) -> None:
        order = self._found.findings.get("order")
        newest_first = order is not None and (order.value, order.sure) == ("descending", "sure")
        if newest_first:
            why = "it lists the newest first, and no start can be asked for"
            self._found.findings.note("paging.ends_at_start", True, "probable", why)
        read = "its newest part, back to where the last one began" if newest_first else "the whole listing"
        self._found.doubts.append(
            f"No parameter for the start of a span is known: each poll would read {read}. Name it in the address, such as "
            "?since=2026-05-02T00:00:00Z (see the vendor's documentation), or let likely ones be tried: --try."
        )

    def _pages(self) -> SecondPage:
        return SecondPage(self._asker, self._asked, self._found.findings, self._state, tries=self._tries)

    def _with_events(self, first: Asked) -> tuple[Asked, Array | None]:
        """The first answer that holds events, and where: some send empty pages, each with a cursor."""
        array = self._array(first)
        for path in [] if array is not None else empty_arrays_in(first.answer.body):
            for way in self._pages().ways(first, Array(path, "array", []), []):
                raw = self._found.findings.source()
                raw["results_field"] = path
                raw["paging"] = {**raw.get("paging", {}), **way.keys, "empty_page_ends": False}
                try:
                    state = self._asker.after(raw, first, self._state, [])
                    asked = None if state is None else self._asker.ask(raw, state)
                except Enough:
                    raise
                except FlickerError:
                    continue
                array = None if asked is None else self._array(asked)
                if asked is not None and array is not None:
                    note_way(self._found.findings, way, "sure", f"; {len(array.rows)} events came by it")
                    why = "the first page was empty, and events came behind it"
                    self._found.findings.note("paging.empty_page_ends", False, "sure", why)
                    return asked, array
        return first, array

    def _array(self, first: Asked) -> Array | None:
        found = self._found
        arrays = arrays_in(first.answer.body)
        dated = [array for array in arrays if times_in(columns_of(array.rows), now_ms=self._now_ms)]
        array = next(iter(dated or [each for each in arrays if plain(last_of(each.path)) not in ERRORS]), None)
        if array is None:
            return None
        where = f"at {array.path!r}" if array.path else "at the root"
        why = f"{_counted(array.rows, 'object')} {'stand' if len(array.rows) > 1 else 'stands'} {where} of the answer"
        others = [each.path for each in dated if each is not array]
        if _is_one_of_many(array.path, others):
            found.cut = True
            found.doubts.append(
                f"The events stand in arrays whose names change ({array.path}, {others[0]} …): no results_field names them "
                f"all; {PARTS}."
            )
        elif others:
            found.doubts.append(f"Objects with times stand in {', '.join(map(repr, others[:5]))} as well.")
        found.findings.note("results_field", array.path, "probable" if others else "sure", why)
        if array.shape != "array":
            found.findings.note("rows.shape", array.shape, "sure", f"the answer is read as {array.shape}")
        return array

    def _note_columns(self, times: list[TimeColumn], ids: list[IdColumn], rows: int) -> None:
        note = self._found.findings.note
        if ids:
            best = ids[0]
            rival = len(ids) > 1 and ids[1].score >= best.score - 0.4
            why = f"{rows} of {rows} values differ" + (", and each looks like a uuid" if best.looks else "")
            why += f"; so do those of {ids[1].path}" if rival else ""
            note("id_field", best.path, "probable" if rows > 2 and not rival else "guess", why)
        elif times:
            self._note_no_id()
        if times:
            best = times[0]
            beside = [each.path for each in times[1:3]]
            why = f"{best.covers} of {rows} are times" + (f"; others are {', '.join(beside)}" if beside else "")
            note("timestamp_field", best.path, "probable" if best.score >= 4 and best.covers == rows else "guess", why)
            note(
                "timestamp_format",
                best.format,
                "sure" if best.covers == rows > 1 else "probable",
                "all of them are read so",
            )
            if not best.zoned:
                note("time_zone", "UTC", "guess", "they name no offset: ask the vendor which zone they are in")
            self._note_order(best.times_ms, "on one page")

    def _note_order(self, times_ms: list[int | None], where: str) -> None:
        order = order_of(times_ms)
        if order == "unknown":
            self._found.findings.note("order", "unordered", "guess", "too few different times to tell")
        else:
            sure = "probable" if where == "on one page" else "sure"
            self._found.findings.note("order", order, sure, f"so are {len(times_ms)} events {where}")

    def _note_no_id(self) -> None:
        self._found.findings.drop("id_field")
        self._found.doubts.append("No member identifies the events: they are known by their content.")
        why = "whether equal rows are several events, only the vendor can say"
        self._found.findings.note("equal_rows", "same", "guess", why)

    # -- the end of a listing

    def _note_end(self, following: NextPage, span: Span | None, rows: Rows, time: TimeColumn) -> None:
        """What is known of events behind the first page, where no second one came."""
        found, limit = self._found, self._asked.limit
        if following.doubt:
            found.doubts.append(following.doubt)
        cut_alike = span is not None and span.events == len(rows) and not following.rows
        later = span.later if span is not None and cut_alike else 0
        if not later and not following.cut:
            return
        if span is not None and span.heeded and time.order == "ascending":
            most = limit.value if limit is not None else len(rows)
            shown = later > 0 and len(rows) == most
            found.findings.drop(*WAYS)
            why = f"asked for what came since one of them, {later} later events came" if shown else following.cut
            found.findings.note(
                "paging.most", most, "sure" if shown else "probable", f"{why}; nothing else leads to them"
            )
            return
        found.cut = True
        cut = following.cut or f"There are more events than the {len(rows)} of this answer ({later} came later)"
        found.doubts.append(
            f"{cut}, and nothing that was tried leads to them. See in the vendor's documentation how the next page is asked "
            "for, and name it in the address (such as &page=1, &offset=0 or &cursor=)."
        )

    # -- what two pages show

    def _confirm(self, rows: Rows, second: Rows, time: TimeColumn, ids: list[IdColumn]) -> None:
        findings, both = self._found.findings, [*rows, *second]
        columns = columns_of(both)
        limit = self._asked.limit
        if limit is not None and len(rows) == limit.value:
            note_limit(findings, limit, "sure", f"{limit.value} asked for, and {limit.value} came")
        for each in ids:
            values = list(map(json.dumps, columns.get(each.path, [])))
            if len(set(values)) == len(both):
                rival = next((other for other in ids if other is not each and other.score >= each.score - 0.4), None)
                why = f"{len(both)} of {len(both)} values differ, on two pages"
                why += f"; so may those of {rival.path}" if rival is not None else ""
                findings.note("id_field", each.path, "probable" if rival is not None else "sure", why)
                break
        else:
            if ids:
                self._note_no_id()
        dated = [each for each in times_in(columns, now_ms=self._now_ms) if each.path == time.path]
        if dated and dated[0].covers == len(both):
            best, order = dated[0], dated[0].order
            ordered = order in ("ascending", "descending")
            why = f"{len(both)} of {len(both)} are times" + (
                f", and the listing is in their order ({order})" if ordered else ""
            )
            findings.note("timestamp_field", best.path, "sure" if ordered and best.score >= 5 else "probable", why)
            findings.note("timestamp_format", best.format, "sure", "all of them are read so")
            self._note_order(best.times_ms, "on two pages")


def _counted(rows: Rows, what: str) -> str:
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}"


def _is_one_of_many(path: str, others: list[str]) -> bool:
    """Is it an array among such that stand side by side under dates or numbers?"""
    above, name = _parted(path)
    return re.search(r"\d", name) is not None and any(
        _parted(other)[0] == above and re.search(r"\d", _parted(other)[1]) for other in others
    )


def _parted(path: str) -> tuple[str, str]:
    """What is above the last key of a path, and the key."""
    name = last_of(path)
    return path[: len(path) - len(name)], name
