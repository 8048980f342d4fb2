"""Texts in JSON: what goes in comes out, and nothing of it is taken for what stands around it."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.deliver.encoders.texts import json_string, json_text, json_value, rfc3339, stands_alone

VALUES = [
    *(b'{"a":1.10}', b"[1]", b'"x"', b"1E999", b' {"a" : 1} ', b'{"a":1,"a":2}'),
    *(b'{"a":NaN}', b'{"raw":"a\x00b"}', b'{"b":"\xff"}'),  # no strict decoder reads these
]
OTHERS = [b"", b" ", b'{"a":', b'1,"b":2', b'{"a":1},{"b":2}', b'{"a":1}]', b"1 2", b'"']


@pytest.mark.parametrize(
    "text", [*VALUES, *OTHERS, 'Zoë \u2028 😀\r\n\t"\\'.encode(), b"\\ud800", b"\xed\xa0\x80", b"\xff\xfe"]
)
def test_bytes_come_back_from_the_string_they_were_made(text: bytes) -> None:
    made = json_string(text)
    assert json.loads(made).encode("utf-8", "surrogateescape") == text
    assert not {0x0A, 0x0D} & set(made)


@pytest.mark.parametrize("text", VALUES)
def test_one_value_stands_in_json_as_it_is(text: bytes) -> None:
    assert stands_alone(text)
    assert json_value(text) == text


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_not_one_value_stands_there_as_a_string(text: bytes) -> None:
    assert not stands_alone(text)
    members = json.loads(b'{"before":1,"it":%b,"after":2}' % json_value(text))
    assert members.keys() == {"before", "it", "after"}
    assert members["it"].encode("utf-8", "surrogateescape") == text


@pytest.mark.parametrize("text", ["", "Zoë", "\ud800", '"\\'])
def test_a_text_comes_back(text: str) -> None:
    assert json.loads(json_text(text)) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, b"1970-01-01T00:00:00.000Z"),
        (1_795_464_000_007, b"2026-11-23T20:00:00.007Z"),
        (1_795_463_999_999, b"2026-11-23T19:59:59.999Z"),
        (-1, b"1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_written_to_the_millisecond(ms: int, text: bytes) -> None:
    assert rfc3339(ms) == text
