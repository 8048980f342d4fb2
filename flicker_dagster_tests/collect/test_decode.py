"""Events leave with the bytes they came with; ids and times are read from whatever JSON a vendor writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flicker_dagster.config.groups import Pagination
from flicker_dagster.errors import BadAnswer
from flicker_dagster.types import DecodedPage
from flicker_dagster_tests.builders import a_decoder, a_source

AT = "2026-05-02T09:14:07.221Z"
AT_MS = 1_777_713_247_221


def decode(body: bytes, **source: Any) -> DecodedPage:
    return a_decoder(a_source(**source)).decode(body)[0]


def events_of(page: DecodedPage) -> list[bytes]:
    return [bytes(event) for event in page.events]


def array(*events: bytes) -> bytes:
    return b"[" + b",".join(events) + b"]"


def an_event(id_: str = '"a"', extra: str = "") -> bytes:
    return f'{{"id":{id_},"time":"{AT}"{extra}}}'.encode()


# -- wild JSON, as text: what a decoder would make of it is not what must leave

numbers = st.sampled_from(
    [
        "0",
        "-0",
        "1.0",
        "1.10",
        "1e2",
        "1E+2",
        "1.0e400",
        "-1e999",
        "9007199254740993",
        "1" * 400,
        "1" * 5000,
        "0.1e-999",
    ]
)
escaped = st.sampled_from(
    [
        r"\u00e9",
        r"\ud83d\ude00",
        r"\/",
        r"\n",
        r"\\",
        r"\"",
        r"\u0000",
        "é",
        "😀",
        "a",
        " ",
        "{",
        "}",
        "[",
        ",",
        r"\ud800",
    ]
)
strings = st.lists(escaped, max_size=6).map(lambda parts: '"' + "".join(parts) + '"')
scalars = st.one_of(numbers, strings, st.sampled_from(["null", "true", "false"]))


def _containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(strings, inner), max_size=4)
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]"),
        members.map(lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"),
    )


values = st.recursive(scalars, _containers, max_leaves=12)
times = st.sampled_from([f'"{AT}"', str(AT_MS), "null", "1e400", '"soon"', "{}", '"\\ud800"'])


@st.composite
def wild_events(draw: st.DrawFn) -> str:
    members = draw(st.lists(st.tuples(strings, values), max_size=3))
    if draw(st.booleans()):
        members.append(('"id"', draw(st.one_of(scalars, st.sampled_from(["{}", "[1]", '""'])))))
    if draw(st.booleans()):
        members.append(('"time"', draw(times)))
    members += members[: draw(st.integers(0, 1))]  # a duplicate key
    return "{" + ",".join(f"{key}:{value}" for key, value in members) + "}"


@given(st.lists(wild_events(), max_size=5), st.sampled_from(["", " ", "\n", "\r\n\t"]), st.booleans())
def test_events_leave_byte_for_byte(events: list[str], around: str, marked: bool) -> None:
    wanted = [event.encode() for event in events]
    end = around if "\n" not in around else ""
    body = (b"\xef\xbb\xbf" if marked else b"") + around.encode() + array(*wanted) + around.encode() + end.encode()
    page = decode(body)
    assert events_of(page) == wanted
    assert len(page.digests) == len(page.times_ms) == len(wanted)
    assert all(len(digest) == 16 for digest in page.digests)


def _pretty(text: str, gap: str) -> str:
    """Space around every token of JSON text, strings untouched."""
    out, inside, escaping = [], False, False
    for character in text:
        if inside:
            out.append(character)
            inside = escaping or character != '"'
            escaping = character == "\\" and not escaping
        elif character == '"':
            inside = True
            out.append(character)
        else:
            out.append(f"{gap}{character}{gap}" if character in "[]{}:," else character)
    return "".join(out)


@given(st.lists(wild_events(), max_size=4), st.sampled_from(["\n", "\r\n", "\n  ", " \n\t"]))
def test_a_pretty_printed_page_is_the_compact_one(events: list[str], gap: str) -> None:
    compact = array(*(event.encode() for event in events))
    page, pretty = decode(compact), decode(_pretty(compact.decode(), gap).encode())
    assert events_of(pretty) == events_of(page)
    assert pretty.digests == page.digests
    assert pretty.times_ms == page.times_ms


@given(st.lists(wild_events(), min_size=1, max_size=4))
def test_spaces_without_line_breaks_leave_but_do_not_change_an_id(events: list[str]) -> None:
    spaced = [_pretty(event, " ").strip().encode() for event in events]
    page = decode(array(*spaced))
    assert events_of(page) == spaced
    assert page.digests == decode(array(*(event.encode() for event in events))).digests


@given(st.lists(wild_events(), min_size=1, max_size=5), st.data())
def test_what_an_event_is_called_does_not_depend_on_its_neighbours(events: list[str], data: st.DataObject) -> None:
    """The fast path and the careful one agree, so a re-read in another company finds the same ids."""
    number = data.draw(st.integers(0, len(events) - 1))
    together = decode(array(*(event.encode() for event in events)))
    alone = decode(array(events[number].encode()))
    assert alone.digests == [together.digests[number]]
    assert alone.times_ms == [together.times_ms[number]]


@given(st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=20))
def test_different_ids_are_different_events(ids: list[str]) -> None:
    page = decode(array(*(an_event(json.dumps(id_)) for id_ in ids)))
    assert len(set(page.digests)) == len(ids)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"1"', "1"),
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901", "123456789012345678902"),
        ("true", '"true"'),
        ('"\\ud800"', '"\\ud801"'),
    ],
)
def test_ids_that_look_alike_are_kept_apart(one: str, other: str) -> None:
    page = decode(array(an_event(one), an_event(other)))
    assert page.digests[0] != page.digests[1]


@pytest.mark.parametrize("missing", ["null", '""'])
def test_an_event_without_an_id_is_known_by_its_content(missing: str) -> None:
    one, other = an_event(missing, ',"n":1'), an_event(missing, ',"n":2')
    page = decode(array(one, other, one, an_event('"b"')))
    assert page.digests[0] == page.digests[2] != page.digests[1]
    assert len(set(page.digests)) == 3


def test_an_absent_id_among_present_ones_falls_back_for_itself_only() -> None:
    present = decode(array(an_event('"b"'))).digests[0]
    page = decode(array(b'{"n":1}', an_event('"b"'), b'{"n":2}'))
    assert page.digests[1] == present
    assert len(set(page.digests)) == 3


def test_content_ids_ignore_the_order_of_keys_but_not_the_spelling_of_numbers() -> None:
    page = decode(b'[{"a":1,"b":2},{"b":2,"a":1},{"a":1.0,"b":2},{"a":1,"b":9007199254740993}]', id_field=None)
    assert page.digests[0] == page.digests[1]
    assert len(set(page.digests)) == 3


def test_equal_rows_are_one_event_or_several_as_the_source_says() -> None:
    rows = array(b'{"a":1}', b'{"a":1}', b'{"a":1}')
    assert len(set(decode(rows, id_field=None).digests)) == 1
    distinct = decode(rows, id_field=None, equal_rows="distinct").digests
    assert len(set(distinct)) == 3
    assert distinct == decode(rows, id_field=None, equal_rows="distinct").digests


def test_a_composite_id_needs_all_its_parts() -> None:
    page = decode(
        b'[{"a":"x","b":"yz"},{"a":"xy","b":"z"},{"a":"x"},{"a":"x","n":1},{"a":"x","b":"yz","n":2}]',
        id_field=["a", "b"],
    )
    assert page.digests[0] == page.digests[4]
    assert len(set(page.digests)) == 4


def test_nested_fields_and_dots_in_keys() -> None:
    body = b'{"data":{"items":[{"meta":{"id":7},"a.b":"2026-05-02T09:14:07.221Z"}]}}'
    page = decode(body, results_field="data.items", id_field="meta.id", timestamp_field="a\\.b")
    assert page.times_ms == [AT_MS]
    assert page.digests == decode(b'[{"id":7}]').digests


def test_the_first_readable_time_counts() -> None:
    body = b'[{"x":"soon","y":1777713247},{"x":"2026-05-02T09:14:07.221Z","y":1},{"y":null}]'
    assert decode(body, timestamp_field=["x", "y"]).times_ms == [1_777_713_247_000, AT_MS, None]


@pytest.mark.parametrize("byte", [b"\xff", b"\xed\xa0\x80", b"\xc3"])
def test_bytes_that_are_no_utf8_pass_and_cost_no_other_event(byte: bytes) -> None:
    broken = [b'{"id":"x%b","n":1}' % byte, b'{"id":"y","n":"%b"}' % byte, b'{"n":"%b"}' % byte]
    page = decode(array(*broken, an_event('"b"')))
    assert events_of(page)[:3] == broken
    assert len(set(page.digests)) == 4
    assert page.digests[3] == decode(array(an_event('"b"'))).digests[0]


def test_elements_that_are_no_objects_are_events_too() -> None:
    body = b'[1,"two",null,[3],{"id":"a"}]'
    page = decode(body)
    assert events_of(page) == [b"1", b'"two"', b"null", b"[3]", b'{"id":"a"}']
    assert len(set(page.digests)) == 5
    assert page.times_ms == [None] * 5


@pytest.mark.parametrize("body", [b'{"items":[]}', b'{"items":null}'])
def test_no_results_are_an_empty_page(body: bytes) -> None:
    assert decode(body, results_field="items").events == []


@pytest.mark.parametrize("body", [b'{"other":1}', b"{}", b'{"ok":true,"error":null}', b'{"data":null}'])
def test_results_that_are_not_there_are_an_error_unless_the_vendor_is_known_to_leave_them_out(body: bytes) -> None:
    for path in ("items", "data.items"):
        with pytest.raises(BadAnswer, match=rf"results_field '{path}' is not in it"):
            decode(body, results_field=path)
        assert decode(body, results_field=path, results_optional=True).events == []


BAD = [
    (b"", "", "the answer is empty"),
    (b"  \n ", "", "the answer is empty"),
    (b"<html>Sign in</html>", "", "HTML"),
    (b"\n <!doctype html>", "items", "HTML"),
    (b'{"items":[]}', "", "set results_field"),
    (b'[{"id":1}]', "items", "found an array"),
    (b'{"items":{}}', "items", "not the JSON"),
    (b'{"data":[]}', "data.items", "results_field 'data.items' is not in it"),
    (b'{"items":[{"id":1},', "items", "not the JSON"),
    (b'[{"id":1}', "", "not the JSON"),
    (b'[{"id":1}]trailing', "", "not the JSON"),
    (b'["text', "", "not the JSON"),
    (b'"text"', "items", "not the JSON"),
    (b"null", "items", "not the JSON"),
    (b"\x1f\x8b\x08", "", "expected an object or an array"),
    (b"[" * 100_000, "", "not the JSON"),
]


@pytest.mark.parametrize(("body", "root", "why"), BAD, ids=[f"{row[0][:12]!r}-{row[1]}" for row in BAD])
def test_anything_but_the_promised_shape_is_a_bad_answer(body: bytes, root: str, why: str) -> None:
    with pytest.raises(BadAnswer, match=why) as caught:
        decode(body, results_field=root)
    assert len(str(caught.value)) < 600


def test_an_error_inside_a_200_is_an_error() -> None:
    body = b'{"items":[{"id":"a"}],"errors":[{"message":"expired"}]}'
    with pytest.raises(BadAnswer, match=r"errors: .*expired"):
        decode(body, results_field="items", error_field="errors")
    for fine in (b'{"items":[],"errors":[]}', b'{"items":[],"errors":null}', b'{"items":[]}'):
        assert decode(fine, results_field="items", error_field="errors").events == []


@given(wild_events(), st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_answer_is_read_or_refused_and_nothing_else(event: str, at: int, damage: bytes) -> None:
    body = array(event.encode(), an_event())
    assume(at < len(body))
    try:
        page = decode(body[:at] + damage + body[at + 1 :])
    except BadAnswer:
        return
    assert len(page.events) == len(page.digests) == len(page.times_ms)


def test_paging_fields_come_with_the_page() -> None:
    paging = Pagination(
        pagination_type="cursor", next_cursor_field="meta.next", has_more_field="more", next_url_field="links.next"
    )
    source = a_source(results_field="items", pagination=paging)
    _, fields = a_decoder(source).decode(b'{"items":[],"meta":{"next":12345678901234567890123},"more":true}')
    assert fields == {"meta.next": 12345678901234567890123, "more": True}
