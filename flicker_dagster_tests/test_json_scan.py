"""Lists come apart into their items byte for byte, whatever stands in one of them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.json_items import TooMany, items
from flicker_dagster.json_scan import Damaged, end_of_value, find, levels, scalars, value_at

EVENT = b'{"id":"a"}'


def cut(text: bytes, around: bytes = b"", at: int = 0) -> list[tuple[bytes, bool]]:
    """The items, and whether each is sound."""
    return [(text[start:end], wrong is None) for start, end, wrong in items(text, at, around, most=1_000)[0]]


def array(*texts: bytes) -> bytes:
    return b"[" + b",".join(texts) + b"]"


@pytest.mark.parametrize(
    "odd",
    [
        b'{"a":NaN}',
        b'{"a":Infinity,"b":-Infinity,"c":1e999}',
        b'{"a":01,"b":+1,"c":.5,"d":None}',
        b'{"a":"\x00\x01\n\t"}',
        b'{"a":"\xff\xed\xa0\x80"}',
        rb'{"a":"\q\u12\ud800"}',
        rb'{"a":"\\","b":"\\\"","c":"]}"}',
        b'{"a":1,}',
        b'{"a":[1,2,],"a":2}',
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
def test_an_odd_item_is_cut_out_as_it_came(odd: bytes) -> None:
    assert cut(array(EVENT, odd, EVENT)) == [(EVENT, True), (odd, True), (EVENT, True)]
    assert end_of_value(odd)[0] == len(odd)


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"a":"he said "no" twice"}',
        b'{"a":"no end}',
        b'{"a" 1}',
        b'{"a":[1}',
        b'{"a":1]}',
        b'{"a":1}}',
        b'{"l":[{"a":1},{"b":2},{"c":3}] "x":"y"}',
        b'{"l" [{"a":1},{"b":2},{"c":3}],"x":1}',
        b"}",
    ],
)
@pytest.mark.parametrize("around", ["", "object"])
def test_a_damaged_item_costs_no_other(damaged: bytes, around: str) -> None:
    begin, end, outside = (b'{"meta":{"n":1},"items":', b',"next":"x"}', b"{") if around else (b"", b"", b"")
    for place, texts in enumerate(([damaged, EVENT, EVENT], [EVENT, damaged, EVENT], [EVENT, EVENT, damaged])):
        found = cut(begin + array(*texts) + end, outside, len(begin))
        assert found == [(text, index != place) for index, text in enumerate(texts)]


@pytest.mark.parametrize(
    "text", [b"[", b'[{"id":"a"}', b'[{"id":"a"},', b'[{"id":"a"},{"l":[{"a":1}]', b'[{"a":"x', b"[1]x"]
)
def test_a_list_that_was_cut_off_is_no_list(text: bytes) -> None:
    with pytest.raises(Damaged):
        cut(text)


def test_a_list_longer_than_asked_for_is_refused_early() -> None:
    with pytest.raises(TooMany):
        items(b"[" + b"1," * 10_000, 0, b"", most=100)


def test_depth_is_counted_without_recursion() -> None:
    assert levels(b"[" * 100_000 + b"]" * 100_000) == 100_000
    deep = b'{"id":"a","x":' + b"[" * 1_500 + b"]" * 1_500 + b"}"
    ((_, _, why),) = items(array(deep), 0, b"", most=1)[0]
    assert why is not None
    assert "1501 levels" in why


def test_what_lies_at_a_path_is_found_beside_anything() -> None:
    text = b' {"x":"\xff]}","a":{"b":[1,{"c":NaN}],"d":"\\u0065"},"a":{"d":7},"\\u0065":1}'
    assert find(text, ("a", "d")) == (text.index(b"7"), text.index(b"7") + 1)
    assert value_at(text, ("e",)) == 1
    assert value_at(text, ("a", "b")) is None
    assert value_at(b"not json", ("a",)) is None


#: What looks like the joints of a list, to confuse a scanner; text after text of it is what damage makes.
junk = st.lists(
    st.sampled_from(['"', "{", "}", "[", "]", ",", ":", "},{", '{"a":', "]}", "\\", "1", " ", "\n", "x", "\x00"]),
    max_size=12,
).map(lambda parts: "".join(parts).encode())
plain = st.dictionaries(
    st.text('ab}],{"\\', max_size=3), st.integers() | st.text('ab}],{"\\', max_size=4) | st.none(), max_size=3
)


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[bytes], bytes, int]:
    events = [json.dumps({"id": number} | draw(plain)).encode() for number in range(draw(st.integers(0, 4)))]
    return events, draw(junk), draw(st.integers(0, len(events)))


@pytest.mark.fuzz
@given(pages())
def test_whatever_is_damaged_every_other_item_is_cut_out_or_kept_within_what_is_damaged(
    page: tuple[list[bytes], bytes, int],
) -> None:
    events, odd, at = page
    text = array(*events[:at], odd, *events[at:])
    try:
        found = cut(text)
    except Damaged:
        return
    for event in events:
        times = [piece for piece, _ in found].count(event)
        assert times == 1 or (times == 0 and any(event in piece for piece, _ in found))
    for piece, sound in found:
        assert not sound or piece in events or piece in odd or end_of_value(piece)[0] == len(piece)


@pytest.mark.fuzz
@given(st.binary(max_size=60))
def test_no_bytes_make_the_scanner_fail_otherwise_than_in_words(text: bytes) -> None:
    for reading in (
        lambda: end_of_value(text),
        lambda: items(b"[" + text, 0, b"", most=9),
        lambda: find(text, ("a", "b")),
    ):
        with suppress(Damaged, TooMany):
            reading()
    list(scalars(text))
