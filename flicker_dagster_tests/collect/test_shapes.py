"""Events of answers that hold them in other ways than as one array."""

from __future__ import annotations

import pytest

from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.shapes import Absent, events_of
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.config.vocabulary import RowKeys

TWO = ("blocked", "delivered")


def test_events_of_several_arrays_are_one_page_in_their_order() -> None:
    body = b'{"delivered":[{"a":1}],"other":[{}],"blocked":[{"a":2},{"a":3}]}'
    assert events_of(body, RowSpec(fields=TWO)) == [b'{"a":2}', b'{"a":3}', b'{"a":1}']


def test_one_array_of_several_may_be_missing_and_not_all() -> None:
    assert events_of(b'{"delivered":[{"a":1}]}', RowSpec(fields=TWO)) == [b'{"a":1}']
    with pytest.raises(Absent):
        events_of(b'{"queryEndTime":"x"}', RowSpec(fields=TWO))


@pytest.mark.parametrize("name", ["array", 'a "name"'])
def test_an_event_can_begin_with_the_name_of_its_array(name: str) -> None:
    spec = RowSpec(fields=TWO, keys=RowKeys(array_as=name))
    body = b'{"blocked":[{"a":1},{}],"delivered":[{"a":1},7]}'
    member = b'{"array":' if name == "array" else b'{"a \\"name\\"":'
    assert events_of(body, spec) == [
        member + b'"blocked","a":1}',
        member + b'"blocked"}',
        member + b'"delivered","a":1}',
        b"7",
    ]


@pytest.mark.parametrize(("keys", "different"), [(RowKeys(), 1), (RowKeys(array_as="array"), 2)])
def test_equal_rows_of_two_arrays_are_two_events_where_they_hold_its_name(keys: RowKeys, different: int) -> None:
    page, _ = PageDecoder(RowSpec(fields=TWO, keys=keys)).decode(b'{"blocked":[{"a":1}],"delivered":[{"a":1}]}')
    assert len(set(page.digests)) == different


def test_the_name_of_a_single_array_is_put_in_as_well() -> None:
    page, _ = PageDecoder(RowSpec(fields=("rows",), keys=RowKeys(array_as="array"))).decode(b'{"rows":[{"a":1}]}')
    assert [bytes(event) for event in page.events] == [b'{"array":"rows","a":1}']
