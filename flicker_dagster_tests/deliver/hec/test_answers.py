"""No answer is taken for more than it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.deliver.hec.answers import SLOW_DOWN, RefusedAt, Said, Taken, judge, read_said
from flicker_dagster.deliver.outcomes import Delivered, Duplicate
from flicker_dagster.transport.exchange import Answer

members = st.fixed_dictionaries(
    {},
    optional={
        "code": st.integers(-1, 30) | st.none() | st.text(max_size=2) | st.booleans(),
        "ackId": st.integers() | st.text(max_size=2) | st.floats(),
        "invalid-event-number": st.integers(-2, 6) | st.text(max_size=2),
        "text": st.text(),
    },
)
bodies = st.binary() | members.map(lambda value: json.dumps(value).encode())


@pytest.mark.fuzz
@given(st.integers(100, 599), bodies, st.booleans(), st.booleans(), st.integers(1, 5))
def test_only_a_200_is_taken_and_only_an_event_of_the_request_is_refused(
    status: int, body: bytes, whole: bool, plain: bool, count: int
) -> None:
    said = read_said(body)
    found = judge(
        Answer(status, {}, body, whole),
        "why",
        count=count,
        after_s=None,
        plain=plain,
        credentials=lambda: "siem.yaml:7",
    )
    assert not isinstance(found, Delivered | Duplicate)
    if isinstance(found, Taken):
        assert status == 200
        assert (said is not None and said.code in {None, 0, *SLOW_DOWN}) or (plain and body.lstrip()[:1] != b"<")
        assert found.ack_id == (None if said is None else said.ack_id)
    if isinstance(found, RefusedAt):
        assert found.index < count
        assert said is not None
        assert said.code in (6, 12, 13)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"text":"Success","code":0,"ackId":3}', Said(0, 3)),
        (b' {"code":13,"invalid-event-number":2,"ackId":0}\n', Said(13, 0, 2)),
        (b'{"code":"0","ackId":-1,"invalid-event-number":true}', Said()),
        (b"{}", Said()),
        (b"[]", None),
        (b"0", None),
        (b"", None),
        (b"<html>", None),
        (b'{"code":0', None),
        (b'{"a":' * 100_000, None),
    ],
)
def test_what_an_answer_says(body: bytes, said: Any) -> None:
    assert read_said(body) == said
