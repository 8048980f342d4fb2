"""Bodies of a lot, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.deliver.encoders.encoder import Encoder
from flicker_dagster.deliver.encoders.envelope import Envelope
from flicker_dagster.deliver.encoders.json_array import JsonArray
from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.deliver.encoders.wrapped import Wrapped
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_text import read_json
from flicker_dagster.lots import Lot
from flicker_dagster.times import rfc3339_ms

TIME_MS = 1_777_713_247_221
COLLECTED_MS = TIME_MS + 5_000
ONE, TWO = b'{"b":1.10,"a":"\\u00e9","a":9007199254740993}', b'{"x":1e400}'
DIGESTS = [bytes(range(16)), bytes(16)]


def lot_of(*events: bytes, times_ms: list[int | None] | None = None, source: str = 's "1"') -> Lot:
    digests = [index.to_bytes(16, "big") if index > 1 else DIGESTS[index] for index in range(len(events))]
    times = [TIME_MS] * len(events) if times_ms is None else times_ms
    return Lot.of(events, digests=digests, times_ms=times, source=source, collected_ms=COLLECTED_MS)


def test_a_json_array_is_the_lots_own_object() -> None:
    lot = lot_of(ONE, TWO)
    assert JsonArray().encode(lot) is lot.array
    assert lot.array == b"[" + ONE + b"," + TWO + b"]"


def test_ndjson_ends_every_line() -> None:
    assert NdJson().encode(lot_of(ONE, TWO)) == ONE + b"\n" + TWO + b"\n"


def test_ndjson_leaves_out_line_breaks_between_values_only() -> None:
    assert NdJson().encode(lot_of(b'{\n "a": "x\\n y",\r\n "b": 1.10\n}', TWO)) == (
        b'{"a":"x\\n y","b":1.10}\n' + TWO + b"\n"
    )


def test_an_event_that_would_end_a_line_is_named_and_never_written() -> None:
    lot = lot_of(ONE, b'{"a":"x\ny"}', TWO)
    assert list(NdJson().unfit(lot)) == [1]
    with pytest.raises(ValueError, match="line break"):
        NdJson().encode(lot)
    assert NdJson().encode(lot.part([0, 2])) == ONE + b"\n" + TWO + b"\n"
    assert NdJson().unfit(lot.part([0, 2])) == {}


def test_a_wrapper_key_is_put_around_any_array() -> None:
    lot = lot_of(ONE, TWO)
    assert Wrapped('re"cörds', JsonArray()).encode(lot) == b'{"re\\"c\\u00f6rds":' + lot.array + b"}"
    assert Wrapped("r", Envelope()).encode(lot) == b'{"r":' + Envelope().encode(lot) + b"}"


def test_an_envelope_adds_id_time_and_source_and_keeps_the_bytes() -> None:
    assert Envelope().encode(lot_of(ONE, TWO, times_ms=[TIME_MS, None])) == (
        b'[{"id":"000102030405060708090a0b0c0d0e0f","time":"2026-05-02T09:14:07.221Z","source":"s \\"1\\"","event":'
        + ONE
        + b'},{"id":"00000000000000000000000000000000","time":"2026-05-02T09:14:12.221Z","source":"s \\"1\\"","event":'
        + TWO
        + b"}]"
    )


@pytest.mark.parametrize("ms", [0, 7, 999, 1_000, -1, 4_102_444_799_999])
def test_a_time_has_its_milliseconds_to_three_digits(ms: int) -> None:
    assert json.loads(Envelope().encode(lot_of(TWO, times_ms=[ms])))[0]["time"] == rfc3339_ms(ms)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b'{"m":{"text":"h\xc3\xa9 \\"x\\""}}', 'hé "x"'),
        (b'{"m":{"text":7}}', 7),
        (b'{"m":{"text":["a",{"b":1}]}}', ["a", {"b": 1}]),
        (b'{"m":{"text":"\\ud800"}}', "\ud800"),
        (b'{"m":{"text":"a"},"n":1e400}', "a"),
        (b'{"m":{"text":"a"},"n":"\xff"}', "a"),
        (b'{"m":{"text":"a"},"n":NaN,"m.text":null}', "a"),
        (b'{"m":{"text":"a"},"m.text":"b"}', "b"),
        (b'{"m":{"text":"a"},"m":{"text":"b"}}', "b"),
        (b'{"m":1,"m.text":"b"}', "b"),
    ],
)
def test_an_envelope_shows_the_message_of_any_event(event: bytes, message: object) -> None:
    written = Envelope("m.text").encode(lot_of(event))
    assert written.endswith(b',"event":' + event + b"}]")
    assert json.loads(written.decode("utf-8", "surrogateescape"))[0]["message"] == message


@pytest.mark.parametrize("event", [b'{"m":7}', b'{"m":{"text":null}}', b"{}", b"[1]", b"null"])
def test_an_event_without_a_message_has_none(event: bytes) -> None:
    assert b'"message"' not in Envelope("m.text").encode(lot_of(event))


def test_a_message_as_text_is_a_string_as_it_is_and_anything_else_as_json() -> None:
    field = MessageField("m.text")
    assert field.text_of(b'{"m":{"text":"h\\u00e9"}}') == "hé"
    assert field.text_of(b'{"m":{"text":{"a":["\\u00e9",1]}}}') == '{"a":["é",1]}'
    assert field.text_of(b'{"m":{}}') is None


ENCODERS: list[Encoder] = [
    JsonArray(),
    NdJson(),
    Envelope(),
    Envelope("a"),
    Envelope("b"),
    Wrapped("a", JsonArray()),
    Wrapped("b", JsonArray()),
    Wrapped("b", Envelope()),
]


def test_no_two_encoders_share_a_requests_name() -> None:
    lot = lot_of(ONE)
    assert len({lot.key(encoder.encoding) for encoder in ENCODERS}) == len(ENCODERS)


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
names = st.sampled_from(["a", "b", "a.b", "", "b.a"])
objects = st.dictionaries(
    names, st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner), max_leaves=8)
)


@given(objects, st.sampled_from(["a", "a.b", "a.b.a", "a..b", "", r"a\.b", r"a\.b.a", "a.b.a.b.a.b", "b"]))
def test_a_message_is_what_a_look_up_in_the_whole_event_finds(event: dict[str, object], path: str) -> None:
    text = json.dumps(event).encode()
    assert MessageField(path).of(text) == lookup_any(read_json(text), readings(path))


@given(st.lists(objects.map(lambda value: json.dumps(value, indent=1).encode()), min_size=1, max_size=3))
def test_every_body_holds_every_event(drawn: list[bytes]) -> None:
    lot, values = lot_of(*drawn), [json.loads(event) for event in drawn]
    assert json.loads(JsonArray().encode(lot)) == values
    assert [json.loads(line) for line in NdJson().encode(lot).splitlines()] == values
    assert [each["event"] for each in json.loads(Envelope("a").encode(lot))] == values
    assert json.loads(Wrapped("k", JsonArray()).encode(lot)) == {"k": values}
