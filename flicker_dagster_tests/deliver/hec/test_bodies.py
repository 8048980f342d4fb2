"""Whatever the events hold, the collector reads as many as were sent, each under its own id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.deliver.hec.bodies import EventBodies, RawBodies, unfit_reason
from flicker_dagster.simulator.receivers.hec_protocol import HecEvent, read_lines, read_objects
from flicker_dagster_tests.deliver.contract import lot_of

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
events = st.one_of(
    values.map(lambda value: json.dumps(value).encode()),  # lone surrogates as escapes, NaN
    values.map(lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")),
    st.binary(max_size=30),
    st.lists(st.sampled_from([b'{"a":1}', b"{", b"}", b'"b":', b",", b"]", b"[", b"1", b'"'])).map(b"".join),
    st.binary(max_size=10).map(lambda raw: b'{"a":"%b"}' % raw),
)
TIMES = st.integers(946_684_800_000, 4_102_444_799_999)


def read(body: bytes) -> list[HecEvent]:
    return list(read_objects(body.decode(), {}, lambda name: True))


@pytest.mark.fuzz
@given(st.lists(st.tuples(events, TIMES), min_size=1, max_size=8))
def test_one_odd_event_costs_its_neighbours_nothing(found: list[tuple[bytes, int]]) -> None:
    fit = [each for each in found if unfit_reason(each[0], at_most_bytes=10_000, as_line=False) is None]
    ids = [str(number) for number in range(len(fit))]
    lot = lot_of([event for event, _ in fit], ids=ids, times_ms=[ms for _, ms in fit])
    arrived = read(EventBodies({"source": 'a"b'}, {"env": ["x"]}).body(lot))
    assert [each.fields["event_uid"] for each in arrived] == lot.uids
    assert [each.time_ms for each in arrived] == lot.times_ms
    for sent, each in zip(lot.events, arrived):
        as_text = json.loads(each.event) if each.event[:1] == b'"' else None
        assert each.event == sent or as_text == sent.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    "found",
    [
        [b'{"a":1},{"b":2}'],
        [b'{"a":1},"index":"elsewhere"'],
        [b'{"a":1', b'"b":2}'],
        [b'{"a":1', b'"b":2}', b'{"c":1},{"d":2}'],
        [b'{"a":1}}{"event":"x"'],
    ],
)
def test_what_is_no_single_value_stays_inside_of_its_event(found: list[bytes]) -> None:
    arrived = read(EventBodies({"index": "saas"}, {}).body(lot_of(found)))
    assert [json.loads(each.event) for each in arrived] == [event.decode() for event in found]
    assert {each.metadata["index"] for each in arrived} == {"saas"}


@pytest.mark.fuzz
@given(st.lists(st.tuples(events, TIMES), min_size=1, max_size=8))
def test_one_line_is_one_event(found: list[tuple[bytes, int]]) -> None:
    fit = [each for each in found if unfit_reason(each[0], at_most_bytes=10_000, as_line=True) is None]
    ids = [str(number) for number in range(len(fit))]
    lot = lot_of([event for event, _ in fit], ids=ids, times_ms=[ms for _, ms in fit])
    arrived = list(read_lines(RawBodies(bare=False).body(lot), {}, lambda name: True))
    assert [each.fields["event_uid"] for each in arrived] == lot.uids


@pytest.mark.parametrize(
    "bodies", [EventBodies({"source": "okta"}, {"env": "prod"}), RawBodies(bare=False), RawBodies(bare=True)]
)
@pytest.mark.parametrize("count", [1, 100])
def test_the_bytes_beside_an_event_are_counted(bodies: EventBodies | RawBodies, count: int) -> None:
    lot = lot_of([b'{"n":%d}' % number for number in range(count)])
    body = bodies.body(lot)
    assert len(body) <= lot.size_bytes + len(lot) * bodies.overhead_bytes
