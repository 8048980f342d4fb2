"""Pieces that a vendor is inferred from: formats of times, orders, ids, spans; and nothing that breaks them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flicker_dagster.infer.columns import columns_of, format_of, ids_in, order_of, times_in
from flicker_dagster.infer.going_on import envelope_of, ways_on
from flicker_dagster.infer.question import question_of
from flicker_dagster.infer.rows import arrays_in, empty_arrays_in
from flicker_dagster_tests.infer.vendor_rows import FIRST_MS, ROWS


@pytest.mark.parametrize(
    ("values", "fmt"),
    [
        (["2026-05-02T09:14:07Z", "2026-05-02T09:14:07.123+02:00"], "iso8601"),
        ([1_777_712_047, 1_777_712_048], "unix"),
        (["1777712047123"], "unix_ms"),
        (["Sat, 02 May 2026 09:14:07 GMT"], "auto"),
        ([1_777_712_047, "2026-05-02T09:14:07Z"], None),
        ([True], None),
        ([12], None),
        (["x"], None),
        ([], None),
        ([None], None),
    ],
)
def test_formats_of_times(values: list[Any], fmt: str | None) -> None:
    assert format_of(values) == fmt


@pytest.mark.parametrize(
    ("times", "order"),
    [
        ([1, 2, 2, 3], "ascending"),
        ([3, 2, 1], "descending"),
        ([1, 3, 2], "unordered"),
        ([1, 1, 1], "unknown"),
        ([None, 1, 2], "unknown"),
    ],
)
def test_orders(times: list[int | None], order: str) -> None:
    assert order_of(times) == order


def test_digits_of_an_id_are_no_time_and_a_changed_time_is_not_the_events() -> None:
    rows = [
        {"id": str(1_570_395_776_954_206_544 + n), "updatedAt": row["time"], "createdAt": row["time"]}
        for n, row in enumerate(ROWS)
    ]
    columns = columns_of(rows)
    times = times_in(columns, now_ms=FIRST_MS + 86_400_000)
    assert [each.path for each in times] == ["createdAt", "updatedAt"]
    assert ids_in(columns, times)[0].path == "id"


def test_a_key_with_dots_is_one_key() -> None:
    rows = [{"event.time": row["time"], "event.id": row["id"]} for row in ROWS]
    columns = columns_of(rows)
    times = times_in(columns, now_ms=FIRST_MS + 86_400_000)
    assert times[0].path == "event\\.time"
    assert ids_in(columns, times)[0].path == "event\\.id"


def test_a_span_is_recognised_in_parameters_texts_and_bodies() -> None:
    asked = question_of(
        "https://a.invalid/log?from=2026-05-02&to=2026-05-03&q=x",
        body={"filter": "at:>'2026-05-02' AND at:<'2026-05-03'", "size": 10},
    )
    raw = asked.findings.raw()
    assert raw["request"]["start"] == {"at": "from"}
    assert raw["request"]["end"] == {"at": "to"}
    assert raw["query_params"] == {"q": "x"}
    asked = question_of("https://a.invalid/log", body={"filter": "at:>'2026-05-02' AND at:<'2026-05-03'", "size": 10})
    assert asked.findings.raw()["request"]["body"] == {"filter": "at:>'{start}' AND at:<'{end}'"}
    assert asked.limit is not None
    assert asked.limit.place() == {"into": "json", "at": "size", "type": "number"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just("2026-05-02T09:14:07Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
@example([{"a": float("nan"), "b": float("inf"), "c": "\u00b2", "d": "9" * 5000}])
def test_no_answer_breaks_it(answer: Any) -> None:
    body = json.dumps(answer).encode()
    empty_arrays_in(body)
    for array in arrays_in(body):
        columns = columns_of(array.rows)
        times = times_in(columns, now_ms=FIRST_MS)
        ids = ids_in(columns, times)
        envelope = envelope_of(body, array.path)
        asked = question_of("https://a.invalid/x?page=1&offset=0&limit=3")
        id_path = ids[0].path if ids else None
        ways_on(asked, links=[], headers={"X-Next": "5"}, envelope=envelope, id_path=id_path, rows=len(array.rows))


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    arrays_in(body)
    empty_arrays_in(body)


@given(st.text(max_size=60), JSON)
def test_no_question_breaks_it(query: str, body: Any) -> None:
    question_of(f"https://a.invalid/x?{query}", body=body)
