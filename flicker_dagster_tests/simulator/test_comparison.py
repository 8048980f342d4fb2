"""What is missing, twice or unknown, event by event, equal ones included."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.simulator.comparison import Ages, Row, compared, together
from flicker_dagster.simulator.emitter import Event

NOW_MS = 1_000_000


def events_of(*ids: str, age_ms: int = 100_000) -> list[Event]:
    at_ms = NOW_MS - age_ms
    return [Event(at_ms, number, at_ms, event_id, b"{}") for number, event_id in enumerate(ids)]


def row_of(events: list[Event], received: dict[str, int], *, equal_rows: bool, catching_up: bool = False) -> Row:
    ages = Ages(now_ms=NOW_MS, began_ms=NOW_MS - 50_000, in_flight_ms=30_000, catching_up=catching_up)
    return compared(events, Counter(received), ages, equal_rows=equal_rows, source="zoom", stream="operation_logs")


def test_equal_rows_are_as_many_events_as_there_are() -> None:
    row = row_of(events_of("a", "a", "a", "b"), {"a": 2, "b": 2, "x": 1}, equal_rows=True)
    assert (row.emitted, row.in_siem, row.missing, row.twice, row.unknown) == (4, 4, 1, 1, 1)
    assert row.name == "zoom/operation_logs"


def test_elsewhere_an_id_is_one_event_however_often_it_is_listed() -> None:
    row = row_of(events_of("a", "a", "b"), {"a": 2}, equal_rows=False)
    assert (row.emitted, row.in_siem, row.missing, row.twice, row.unknown) == (2, 1, 1, 1, 0)


def test_of_equal_events_the_oldest_is_missing() -> None:
    events = events_of("a") + events_of("a", age_ms=1_000)
    assert row_of(events, {"a": 1}, equal_rows=True).in_flight == 0
    assert row_of(events, {"a": 1}, equal_rows=True, catching_up=True).backlog == 1
    assert row_of(events, {}, equal_rows=True).in_flight == 1


@given(st.lists(st.sampled_from("abc")), st.dictionaries(st.sampled_from("abcx"), st.integers(1, 4)), st.booleans())
def test_every_event_is_counted_in_one_place(ids: list[str], received: dict[str, int], equal_rows: bool) -> None:
    row = row_of(events_of(*ids), received, equal_rows=equal_rows)
    assert row.in_siem + row.twice == sum(received.values())
    assert row.emitted - row.missing + row.unknown == row.in_siem
    assert row.overdue == row.missing


def test_the_streams_of_a_source_are_summed_up() -> None:
    rows = [row_of(events_of("a", "b"), {"a": 3}, equal_rows=False), row_of(events_of("c"), {}, equal_rows=False)]
    whole = together(rows, "zoom")
    assert whole == Row("zoom", emitted=3, in_siem=1, in_flight=0, missing=2, twice=2, unknown=0)
