"""The page behind the first one: of all ways that an answer offers, the one by which other events come. What no page has shown
stays a guess."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from flicker_dagster.errors import FlickerError
from flicker_dagster.infer.asking import Asked, Asker, Enough
from flicker_dagster.infer.columns import IdColumn, TimeColumn, columns_of
from flicker_dagster.infer.finding import Finding, Findings, Sure
from flicker_dagster.infer.going_on import Way, bare, envelope_of, says_more, total_of, ways_on
from flicker_dagster.infer.names import LIMIT_TRIED
from flicker_dagster.infer.question import Question, Spot
from flicker_dagster.infer.rows import Array, Rows, arrays_in
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import WalkState


class NextPage(msgspec.Struct):
    """`rows` are the events of the page that came, none where no way led to one. `doubt` is a sentence for a person, `cut` why
    there are more events than nothing leads to."""

    rows: Rows = []
    doubt: str = ""
    cut: str = ""


class SecondPage:
    """The search for it. `findings` are what is known, and get to know how the listing goes on."""

    def __init__(self, asker: Asker, asked: Question, findings: Findings, state: WalkState, *, tries: bool) -> None:
        self._asker, self._asked, self._findings, self._state, self._tries = asker, asked, findings, state, tries
        self._smaller: dict[str, Any] = {}  # keys of paging with which fewer are asked for

    def search(self, first: Asked, array: Array, ids: list[IdColumn], time: TimeColumn) -> NextPage:
        """Raises Enough."""
        rows, fewer = array.rows, False
        ways = self.ways(first, array, ids)
        if not ways and len(rows) > 1:
            again = self._fewer(rows)
            if again is not None:
                (first, rows), fewer = again, True
                ways = self.ways(first, Array(array.path, array.shape, rows), ids)
        whys: list[str] = []
        for way in [*ways, *bare(ways)]:
            second, why = self._page_by(way, first, rows)
            if others := _others(rows, second, ids, time):
                note_way(self._findings, way, "sure", f"; {others} other events came by it")
                return NextPage(second)
            whys.append(why)
        if ways:
            refused = f": {whys[0]}" if whys[0] else ""
            note_way(self._findings, ways[0], "guess", f"; no page has shown that it is so{refused}")
        return self._none(first, array.path, rows, ways, fewer=fewer)

    def ways(self, first: Asked, array: Array, ids: list[IdColumn]) -> list[Way]:
        envelope = envelope_of(first.answer.body, array.path)
        id_path = ids[0].path if ids else None
        return ways_on(
            self._asked,
            links=first.answer.links,
            headers=first.answer.headers,
            envelope=envelope,
            id_path=id_path,
            rows=len(array.rows),
        )

    def _page_by(self, way: Way, first: Asked, rows: Rows) -> tuple[Rows, str]:
        """The page that a way leads to, or why it leads to none."""
        raw = self._findings.source()
        raw["paging"] = {**raw.get("paging", {}), **self._smaller, **way.keys}
        try:
            state = self._asker.after(raw, first, self._state, rows)
            return ([], "") if state is None else (self._asker.page(raw, state), "")
        except Enough:
            raise
        except FlickerError as error:  # it was not this way
            return [], str(error).removeprefix("inferred: ")

    def _fewer(self, rows: Rows) -> tuple[Asked, Rows] | None:
        """A first page of fewer events, where everything came at once: it has to name a next one."""
        least = max(1, len(rows) // 2)
        limit = self._asked.limit
        spots = [Spot(limit.into, limit.at, least)] if limit is not None else []
        if not spots and self._tries:
            spots = [Spot("query", name, least) for name in LIMIT_TRIED]
        for spot in spots:
            raw, smaller = self._findings.source(), {"page_size": least, "limit": spot.place()}
            raw["paging"] = {**raw.get("paging", {}), **smaller}
            try:
                asked = self._asker.ask(raw, self._state)
            except Enough:
                raise
            except FlickerError:
                continue
            path = self._findings.raw()["results_field"]
            array = next((each for each in arrays_in(asked.answer.body) if each.path == path), None)
            if array is not None and len(array.rows) == least:
                self._smaller = smaller
                self._asked.limit = limit or Spot("query", spot.at, len(rows))
                note_limit(self._findings, self._asked.limit, "sure", f"{least} asked for, and {least} came")
                return asked, array.rows
        return None

    def _none(self, first: Asked, path: str, rows: Rows, ways: list[Way], *, fewer: bool) -> NextPage:
        """What is said where no second page came."""
        envelope, limit = envelope_of(first.answer.body, path), self._asked.limit
        said, total = says_more(envelope), total_of(envelope, len(rows))
        if said is None and total is not None and envelope[total] > len(rows) and not self._is_later_page():
            said = total
        if said is not None:
            return NextPage(cut=f"There are more events than the {len(rows)} of this answer ({said} says so)")
        if fewer:
            return NextPage(cut=f"There are more events than the {len(rows)} of this answer, which were asked for")
        if ways:
            return NextPage(
                doubt=f"No second page was seen, so that how the listing goes on ({ways[0].what}) is a guess: ask for fewer "
                "events or a longer span, so that there is one."
            )
        if limit is not None and len(rows) == limit.value:
            return NextPage(cut=f"There may be more events than the {len(rows)} that were asked for")
        return NextPage(
            doubt=f"The answer holds {len(rows)} event{'' if len(rows) == 1 else 's'} and nothing that leads to a next page. "
            "If there are more, ask for fewer (such as ?limit=2), so that a next page is named."
        )

    def _is_later_page(self) -> bool:
        """Was a page asked for that is not the first? Then fewer than all are no surprise."""
        return any(spot is not None and spot.value for spot in (self._asked.offset,))


def note_way(findings: Findings, way: Way, sure: Sure, more: str) -> None:
    for key, value in way.keys.items():
        findings.add(Finding(f"paging.{key}", value, sure, way.whys.get(key, way.what) + more))


def note_limit(findings: Findings, spot: Spot, sure: Sure, why: str) -> None:
    size = "as in the question; the most that the vendor allows costs the fewest requests"
    findings.note("paging.page_size", spot.value, "guess", size)
    findings.note("paging.limit", spot.place(), sure, why)


def _others(rows: Rows, second: Rows, ids: list[IdColumn], time: TimeColumn) -> int:
    """How many events of the second page are others than those of the first. An id may be a number within the page, and a row
    may hold what is new with every answer: by content they have to differ, and by their times."""
    first = {json.dumps(row, sort_keys=True) for row in rows}
    others = sum(json.dumps(row, sort_keys=True) not in first for row in second)
    times = [_times(each, time) for each in (rows, second)]
    if times[0] == times[1] and (len(set(times[0])) > 1 or _values(rows, ids) & _values(second, ids)):
        return 0
    again = len(second) - others  # where events arrive meanwhile, a few come again
    return others if 2 * again < len(second) and 2 * again < len(rows) else 0


def _values(rows: Rows, ids: list[IdColumn]) -> set[str]:
    return set(map(json.dumps, columns_of(rows).get(ids[0].path, []))) if ids else set()


def _times(rows: Rows, time: TimeColumn) -> list[int | None]:
    return [parse_time_ms(value, time.format) for value in columns_of(rows).get(time.path, [])]
