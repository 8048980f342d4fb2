"""Whatever an event holds fits the columns, or is kept beside them: no event is refused for what nobody foresaw."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flicker_dagster.deliver.encoders.ocsf.columns import columns_of
from flicker_dagster.deliver.encoders.ocsf.fitting import table_of
from flicker_dagster.deliver.encoders.ocsf.parquet import OcsfParquet, _schema
from flicker_dagster.deliver.encoders.ocsf.rows import row_of
from flicker_dagster_tests.deliver.contract import lot_of

HEAD = {"class_uid": 3002, "category_uid": 3, "activity_id": 1, "type_uid": 300201, "severity_id": 1, "metadata": {}}
EXAMPLES = int(os.environ.get("FLICKER_FUZZ_EXAMPLES", "25"))
COLUMNS = columns_of(3002, "1.8.0")
NAMES = st.sampled_from([*(COLUMNS or ()), "name", "uid", "groups", "location", "unknown", "", "a.b"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@pytest.mark.fuzz
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=2))
def test_every_event_of_ocsf_becomes_a_row(events: list[dict[str, Any]]) -> None:
    encoder = OcsfParquet("1.8.0")
    lot = lot_of([json.dumps(event | HEAD).encode() for event in events])
    unfit = encoder.unfit(lot)
    assert all("raw_data" in why or "raw data" in why for why in unfit.values())
    left = lot.part([index for index in range(len(lot)) if index not in unfit])
    if len(left):
        assert pq.ParquetFile(io.BytesIO(encoder.encode(left))).metadata.num_rows == len(left)


@pytest.mark.fuzz
@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(
    st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=2),
    st.none() | st.dictionaries(st.text(), VALUES, max_size=2),
)
def test_events_that_fit_as_they_are_make_the_same_rows(events: list[dict[str, Any]], unmapped: Any) -> None:
    assert COLUMNS is not None
    spare = {} if unmapped is None else {"unmapped": unmapped}
    lines = [msgspec.json.encode(({**event, **HEAD} | {"unmapped": None}) | spare) for event in events]
    lines = [line.replace(b',"unmapped":null', b"") for line in lines]
    table = table_of(lines, [7] * len(lines), _schema(3002, "1.8.0"))
    if table is None:
        return
    for found, line in zip(table.to_pylist(), lines, strict=True):
        row = row_of(msgspec.json.decode(line) | {"time": 7}, COLUMNS)
        if found["unmapped"] is not None:
            found["unmapped"], row["unmapped"] = json.loads(found["unmapped"]), json.loads(row["unmapped"] or "null")
        assert found == row


def test_what_most_events_are_is_read_without_looking_at_each() -> None:
    lines = [msgspec.json.encode(HEAD | {"message": "x", "count": 3, "unmapped": {"a": {"b": [1, None]}}})]
    table = table_of(lines, [7], _schema(3002, "1.8.0"))
    assert table is not None
    (row,) = table.to_pylist()
    assert (row["time"], row["message"], row["count"], row["unmapped"]) == (7, "x", 3, '{"a":{"b":[1,null]}}')


@pytest.mark.parametrize(
    ("event", "column", "value", "unmapped"),
    [
        ({"message": "x"}, "message", "x", None),
        ({"message": None}, "message", None, None),
        ({"message": 1.5}, "message", "1.5", None),
        ({"message": {"a": [1]}}, "message", '{"a":[1]}', None),
        ({"message": "\ud83d"}, "message", "?", None),
        ({"count": 7.0}, "count", 7, None),
        ({"count": 7.5}, "count", None, {"count": 7.5}),
        ({"count": True}, "count", None, {"count": True}),
        ({"count": 2**31}, "count", None, {"count": 2**31}),
        ({"duration": 2**31}, "duration", 2**31, None),
        ({"duration": -(2**63)}, "duration", -(2**63), None),
        ({"duration": 2**63}, "duration", None, {"duration": 2**63}),
        ({"is_mfa": "true"}, "is_mfa", None, {"is_mfa": "true"}),
        ({"session": {"uid": "s", "x": 1}}, "session", "s", {"session": {"x": 1}}),
        ({"session": []}, "session", None, {"session": []}),
        ({"x": None}, "message", None, {"x": None}),
        ({"unmapped": {"a": 1}, "b": 2}, "message", None, {"a": 1, "b": 2}),
        ({"unmapped": "text"}, "message", None, {"unmapped": "text"}),
        ({"observables": [{"name": "n"}, None]}, "observables", ["n"], None),
        ({"observables": {"name": "n"}}, "observables", None, {"observables": {"name": "n"}}),
    ],
)
def test_a_value_is_held_by_its_column_or_kept_beside(
    event: dict[str, Any], column: str, value: Any, unmapped: dict[str, Any] | None
) -> None:
    assert COLUMNS is not None
    row = row_of(event, COLUMNS)
    found = row[column]
    if column == "session" and found is not None:
        found = found["uid"]
    if column == "observables" and found is not None:
        found = [each["name"] for each in found]
    assert found == value
    assert (row["unmapped"] and json.loads(row["unmapped"])) == unmapped
    assert list(row) == list(COLUMNS)


def test_what_is_nested_too_deeply_is_said_to_be() -> None:
    assert COLUMNS is not None
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in row_of({"never_heard_of": deep}, COLUMNS)["unmapped"]
