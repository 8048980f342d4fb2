"""What can be found out about an API from a few of its answers: where the events are, what identifies and dates them, in which
order they come, how the listing goes on, and whether it heeds the span asked for. Each is checked by a further request."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from flicker_dagster.collect.quota_headers import read_quotas
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import FlickerError
from flicker_dagster.infer.asking import Asked, Asker, Enough
from flicker_dagster.infer.columns import IdColumn, TimeColumn, columns_of, ids_in, order_of, times_in
from flicker_dagster.infer.finding import Findings
from flicker_dagster.infer.going_on import Way, bare, envelope_of, ways_on
from flicker_dagster.infer.names import LIMIT_TRIED
from flicker_dagster.infer.question import Question, Spot
from flicker_dagster.infer.rows import Array, Rows, arrays_in, empty_arrays_in
from flicker_dagster.infer.spans import check_span, find_start
from flicker_dagster.types import WalkState


class Found(msgspec.Struct):
    """What is known in the end. `doubts` are sentences for a person; `page_two` says whether a second page came."""

    findings: Findings
    requests: int = 0
    events: int = 0
    page_two: bool = False
    quotas: list[str] = []
    doubts: list[str] = []

    @property
    def whole(self) -> bool:
        """Is it a source that can be collected from?"""
        return self.findings.get("timestamp_field") is not None


class Inquiry:
    """One inquiry. With `tries` likely names of parameters are tried that nothing in the answers shows."""

    def __init__(self, asked: Question, asker: Asker, *, now_ms: int, tries: bool = False) -> None:
        self._asked, self._asker, self._now_ms, self._tries = asked, asker, now_ms, tries
        self._found = Found(asked.findings)
        self._state = WalkState(start_ms=asked.start_ms, end_ms=asked.end_ms, began_ms=now_ms)

    def run(self) -> Found:
        """Raises FlickerError where the first request is not answered."""
        if self._asked.limit is not None:
            self._note_limit(self._asked.limit, "guess", "given in the question")
        first = self._asker.ask(self._raw(), self._state)
        try:
            self._learn(first)
        except Enough as error:
            self._found.doubts.append(f"The inquiry ended early: {error}.")
        self._found.requests = self._asker.requests
        return self._found

    # -- one thing after the other

    def _learn(self, first: Asked) -> None:
        found = self._found
        array = self._array(first)
        if array is None:
            return
        rows, found.events = array.rows, len(array.rows)
        quotas = read_quotas(first.answer.headers, RateLimit(), now_ms=first.answer.vendor_now_ms or self._now_ms)
        found.quotas = [each.name for each in quotas]
        columns = columns_of(rows)
        times = times_in(columns, now_ms=self._now_ms)
        ids = ids_in(columns, times)
        self._note_columns(times, ids, len(rows))
        if not times:
            found.doubts.append("No member of the events is a time: without one nothing can be collected.")
            return
        second = self._second_page(first, array, ids)
        if second:
            self._confirm(rows, second, times[0], ids)
        if self._asked.time_spots:
            check_span(self._asker, self._raw(), self._asked, found.findings, times[0], rows)
        elif self._tries:
            find_start(self._asker, self._raw(), found.findings, times[0], rows)
        if not self._asked.time_spots and found.findings.get("request.start") is None:
            found.doubts.append(
                "No parameter for a span of time is known: each poll would read the whole listing. Name it in the address, "
                "such as ?since=2026-05-02T00:00:00Z (see the vendor's documentation), or let likely ones be tried: --try."
            )

    def _array(self, first: Asked) -> Array | None:
        found = self._found
        arrays = arrays_in(first.answer.body)
        dated = [array for array in arrays if times_in(columns_of(array.rows), now_ms=self._now_ms)]
        array = next(iter(dated or arrays), None)
        if array is None:
            empty = empty_arrays_in(first.answer.body)
            where = f" (there is nothing in {', '.join(path or 'the answer' for path in empty[:5])})" if empty else ""
            found.doubts.append(f"The answer holds no events{where}: ask for a time in which there are some.")
            return None
        where = f"at {array.path!r}" if array.path else "at the root"
        why = f"{len(array.rows)} objects stand {where} of the answer"
        others = [each.path for each in dated if each is not array]
        if others:
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
        else:
            self._found.doubts.append("No member identifies the events: they are known by their content.")
            note("equal_rows", "same", "guess", "whether equal rows are several events, only the vendor can say")
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

    # -- the page after it

    def _second_page(self, first: Asked, array: Array, ids: list[IdColumn]) -> Rows:
        """Events of the page that some way leads to. What no page has shown stays a guess."""
        rows = array.rows
        ways = self._ways(first, array, ids)
        if not ways and len(rows) > 1:
            again = self._fewer(rows)
            if again is not None:
                first, rows = again
                ways = self._ways(first, Array(array.path, array.shape, rows), ids)
        for way in [*ways, *bare(ways)]:
            second = self._page_by(way, first, rows)
            if second and _apart(rows, second, ids):
                self._note_way(way, "sure", f"; {len(second)} other events came by it")
                self._found.page_two = True
                return second
        if ways:
            self._note_way(ways[0], "guess", "; no page has shown that it is so")
        else:
            self._found.doubts.append(
                f"The answer holds {len(rows)} events and nothing that leads to a next page. If there are more, ask for fewer "
                "(such as ?limit=2), so that a next page is named."
            )
        return []

    def _ways(self, first: Asked, array: Array, ids: list[IdColumn]) -> list[Way]:
        envelope = envelope_of(first.answer.body, array.path)
        id_path = ids[0].path if ids else None
        return ways_on(self._asked, links=first.answer.links, envelope=envelope, id_path=id_path, rows=len(array.rows))

    def _page_by(self, way: Way, first: Asked, rows: Rows) -> Rows:
        raw = self._raw()
        raw["paging"] = {**raw.get("paging", {}), **way.keys}
        try:
            state = self._asker.after(raw, first, self._state, rows)
            return [] if state is None else self._asker.page(raw, state)
        except Enough:
            raise
        except FlickerError:  # it was not this way
            return []

    def _fewer(self, rows: Rows) -> tuple[Asked, Rows] | None:
        """A first page of fewer events, where everything came at once: it has to name a next one."""
        least = max(1, len(rows) // 2)
        spots = [Spot(self._asked.limit.into, self._asked.limit.at, least)] if self._asked.limit is not None else []
        if not spots and self._tries:
            spots = [Spot("query", name, least) for name in LIMIT_TRIED]
        for spot in spots:
            raw = self._raw()
            raw["paging"] = {**raw.get("paging", {}), "page_size": least, "limit": spot.place()}
            try:
                asked = self._asker.ask(raw, self._state)
            except Enough:
                raise
            except FlickerError:
                continue
            path = self._found.findings.raw()["results_field"]
            array = next((each for each in arrays_in(asked.answer.body) if each.path == path), None)
            if array is not None and len(array.rows) == least:
                self._asked.limit = spot
                self._note_limit(spot, "sure", f"{least} asked for, and {least} came")
                return asked, array.rows
        return None

    def _note_way(self, way: Way, sure: Any, more: str) -> None:
        for key, value in way.keys.items():
            self._found.findings.note(f"paging.{key}", value, sure, way.whys.get(key, way.what) + more)

    def _note_limit(self, spot: Spot, sure: Any, why: str) -> None:
        self._found.findings.note("paging.page_size", spot.value, sure, why)
        self._found.findings.note("paging.limit", spot.place(), sure, why)

    # -- what two pages show

    def _confirm(self, rows: Rows, second: Rows, time: TimeColumn, ids: list[IdColumn]) -> None:
        findings, both = self._found.findings, [*rows, *second]
        columns = columns_of(both)
        limit = self._asked.limit
        if limit is not None and len(rows) == limit.value:
            self._note_limit(limit, "sure", f"{limit.value} asked for, and {limit.value} came")
        for each in ids:
            values = list(map(json.dumps, columns.get(each.path, [])))
            if len(set(values)) == len(both):
                rival = next((other for other in ids if other is not each and other.score >= each.score - 0.4), None)
                why = f"{len(both)} of {len(both)} values differ, on two pages"
                why += f"; so may those of {rival.path}" if rival is not None else ""
                findings.note("id_field", each.path, "probable" if rival is not None else "sure", why)
                break
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

    def _raw(self) -> dict[str, Any]:
        return {"name": "inferred", **self._found.findings.raw()}


def _apart(rows: Rows, second: Rows, ids: list[IdColumn]) -> bool:
    """Has the second page none of the first one's events?"""
    one, other = ({_known_by(row, ids) for row in each} for each in (rows, second))
    return not one & other


def _known_by(row: dict[str, Any], ids: list[IdColumn]) -> str:
    if ids:
        return json.dumps(columns_of([row]).get(ids[0].path))
    return json.dumps(row, sort_keys=True)
