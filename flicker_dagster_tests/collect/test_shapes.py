"""Events of answers that hold them in other ways than as one array."""

from __future__ import annotations

import gzip
import re

import pytest

from flicker_dagster.collect import shapes
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.shapes import Absent, events_of, inflated
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.config.vocabulary import RowKeys
from flicker_dagster.errors import BadAnswer

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


# -- careless and hostile ones


def test_a_file_of_several_gzip_members_is_read_to_its_end() -> None:
    members = gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"a":2}\n')
    assert inflated(members, at_most_bytes=100) == b'{"a":1}\n{"a":2}\n'
    assert inflated(members + bytes(8), at_most_bytes=100) == b'{"a":1}\n{"a":2}\n'
    for wrong in (members[:-3], members + b"x", gzip.compress(bytes(60)) * 2):
        with pytest.raises(BadAnswer):
            inflated(wrong, at_most_bytes=100)


@pytest.mark.parametrize("body", [b'{"error":"no"}', b"Please log in", b"a,b\n1,2\n"])
def test_a_text_without_the_columns_of_id_or_time_is_no_csv_without_events(body: bytes) -> None:
    spec = RowSpec(keys=RowKeys(shape="csv"), time_paths=("TIME", "TIMESTAMP"))
    with pytest.raises(BadAnswer, match="TIME"):
        PageDecoder(spec).decode(body)
    assert len(PageDecoder(spec).decode(b"TIMESTAMP,b\n")[0]) == 0


def test_columns_of_one_name_lose_nothing() -> None:
    spec = RowSpec(keys=RowKeys(shape="csv"))
    assert events_of(b"a,a,a_2\n1,2,3\n", spec) == [b'{"a":"1","a_3":"2","a_2":"3"}']


@pytest.mark.parametrize(
    ("keys", "body"),
    [
        (RowKeys(split="e"), b'[{"x":"%b","e":[%b]}]' % (b"y" * 10_000, b",".join([b"1"] * 1_000))),
        (RowKeys(shape="csv"), b"%b\n%b" % (b"y" * 10_000, b"1\n" * 1_000)),
    ],
)
def test_a_small_answer_does_not_become_large_events(keys: RowKeys, body: bytes) -> None:
    with pytest.raises(BadAnswer, match="page_bytes"):
        PageDecoder(RowSpec(keys=keys, page_bytes=1_000_000)).decode(body)


def test_the_array_that_is_split_is_not_mistaken_for_a_text_with_its_name() -> None:
    spec = RowSpec(keys=RowKeys(split="e"))
    assert events_of(b'[{"x":"e","\\u0065":[1,2]}]', spec) == [b'{"x":"e","e":1}', b'{"x":"e","e":2}']
    assert events_of(b'[{"x":1,"a\\"":0,"e" : [1]}]', spec) == [b'{"x":1,"a\\"":0,"e":1}']


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"{", "gave an event that is no JSON"),
        ({"a": 1}, "gave an event of type dict, expected the bytes of its JSON"),
        (None, "gave an event of type NoneType"),
    ],
)
def test_what_a_part_gives_instead_of_an_event_is_told_as_its_fault(
    monkeypatch: pytest.MonkeyPatch, given: object, said: str
) -> None:
    monkeypatch.setattr(shapes, "part", lambda _: lambda _body: iter([given]))
    with pytest.raises(ValueError, match=re.escape(f"the part ours {said}")):
        events_of(b"whatever", RowSpec(keys=RowKeys(part="ours")))
