"""Bodies, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.deliver.formats import Envelope, Format, JsonArray, NdJson, format_of

TIME_MS = 1_777_713_247_221
NOW_MS = TIME_MS + 5_000
ONE, TWO = b'{"b":1.10,"a":"\\u00e9","a":9007199254740993}', b'{"x":1e400}'
DIGESTS = [bytes(range(16)), bytes(16)]


def body(form: Format, events: list[bytes], times_ms: list[int | None]) -> bytes:
    return form.join(form.records(events, DIGESTS[: len(events)], times_ms, now_ms=NOW_MS))


def test_a_json_array_holds_the_vendors_bytes() -> None:
    assert body(JsonArray(), [ONE, TWO], [None, None]) == b"[" + ONE + b"," + TWO + b"]"
    assert JsonArray().content_type == "application/json"


def test_ndjson_ends_every_line() -> None:
    assert body(NdJson(), [ONE, TWO], [None, None]) == ONE + b"\n" + TWO + b"\n"
    assert NdJson().content_type == "application/x-ndjson"


def test_an_envelope_adds_id_time_and_source_and_keeps_the_bytes() -> None:
    assert body(Envelope('a "source"', None), [ONE, TWO], [TIME_MS, None]) == (
        b'[{"id":"000102030405060708090a0b0c0d0e0f","time":"2026-05-02T09:14:07.221Z","source":"a \\"source\\"","event":'
        + ONE
        + b'},{"id":"00000000000000000000000000000000","time":"2026-05-02T09:14:12.221Z","source":"a \\"source\\"","event":'
        + TWO
        + b"}]"
    )


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b'{"m":{"text":"h\xc3\xa9 \\"x\\""}}', 'hé "x"'),
        (b'{"m":{"text":7}}', 7),
        (b'{"m":{"text":"\\ud800"}}', "\ud800"),
        (b'{"m":{"text":"a"},"n":1e400}', "a"),
        (b'{"m":{"text":"a"},"n":"\xff"}', "a"),
    ],
)
def test_an_envelope_shows_the_message_of_any_event(event: bytes, message: object) -> None:
    written = body(Envelope("s", "m.text"), [event], [TIME_MS])
    assert written.endswith(b',"event":' + event + b"}]")
    assert json.loads(written.decode("utf-8", "surrogateescape"))[0]["message"] == message


@pytest.mark.parametrize("event", [b'{"m":7}', b'{"m":{"text":null}}', b"{}", b"[1]", b"null"])
def test_an_event_without_a_message_has_none(event: bytes) -> None:
    assert b'"message"' not in body(Envelope("s", "m.text"), [event], [TIME_MS])


leaves = st.none() | st.booleans() | st.integers() | st.text()
objects = st.dictionaries(
    st.text(), st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
events = st.lists(objects.map(lambda value: json.dumps(value).encode()), max_size=2)


@given(events, st.sampled_from([JsonArray(), NdJson(), Envelope("s", None), Envelope("s", "a")]))
def test_a_body_comes_apart_into_what_it_was_made_of(drawn: list[bytes], form: Format) -> None:
    records = form.records(drawn, DIGESTS[: len(drawn)], [TIME_MS] * len(drawn), now_ms=NOW_MS)
    parts = form.split(form.join(records))
    assert parts == [bytes(record) for record in records]
    assert [form.event_of(part) for part in parts] == drawn
    assert form.join(parts) == form.join(records)


def test_formats_by_their_name() -> None:
    for name, kind in (("json", JsonArray), ("ndjson", NdJson), ("envelope", Envelope)):
        assert type(format_of(name, source_name="s", message_field=None)) is kind
