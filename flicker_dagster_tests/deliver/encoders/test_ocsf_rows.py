"""Whatever an event holds fits the columns, or is kept beside them: no event is refused for what nobody foresaw."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flicker_dagster.deliver.encoders.ocsf.columns import columns_of
from flicker_dagster.deliver.encoders.ocsf.parquet import OcsfParquet
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
