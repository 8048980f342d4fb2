"""What an answer may hold beside events: errors, keys with dots, nothing at all, or more than memory has room for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.groups import Limits, Pagination
from flicker_dagster.errors import BadAnswer
from flicker_dagster.json_paths import readings
from flicker_dagster_tests.builders import a_decoder, a_filter, a_source

AT = "2026-05-02T09:14:07.221Z"
AT_MS = 1_777_713_247_221
ODATA = Pagination(pagination_type="next_url", next_url_field="@odata.nextLink")


# -- keys with dots


def test_a_path_is_read_the_most_literal_way_first() -> None:
    assert readings("a.b.c") == [("a.b.c",), ("a.b", "c"), ("a", "b.c"), ("a", "b", "c")]
    assert readings("a\\.b") == [("a.b",)]
    assert readings("") == [()]


@pytest.mark.parametrize("odd", [b"", b',"x":NaN'])
@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ({"meta.id": "1", "event.time": AT}, {}),
        ({"meta": {"id": "1"}, "event": {"time": AT}}, {}),
        ({"meta.id": "1", "meta": {"id": "2"}, "event.time": AT, "event": {"time": 7}}, {}),
        ({"meta.id": None, "meta": {"id": "1"}, "event.time": AT}, {}),
    ],
)
def test_a_literal_key_is_found_before_the_path(event: dict[str, Any], fields: dict[str, Any], odd: bytes) -> None:
    body = json.dumps(event).encode()
    decoder = a_decoder(a_source(id_field="meta.id", timestamp_field="event.time"))
    page, _ = decoder.decode(b"[" + body[:-1] + odd + b"}]")
    assert page.times_ms == [AT_MS]
    assert page.digests == a_decoder(a_source()).decode(b'[{"id":"1"}]')[0].digests
    keep = a_filter(match_on=[{"field": "meta.id", "pattern": "^1$"}]).mask(page)
    assert keep == [True]


@pytest.mark.parametrize("odd", ["", "\\ud800"])
def test_paging_and_results_may_lie_under_keys_with_dots(odd: str) -> None:
    decoder = a_decoder(a_source(results_field="d.results", pagination=ODATA, error_field="odata.error"))
    for body in ({"d.results": [{"id": odd}]}, {"d": {"results": [{"id": odd}]}}):
        text = json.dumps(body | {"@odata.nextLink": "/next"}).replace("\\\\", "\\").encode()
        page, fields = decoder.decode(text)
        assert len(page) == 1
        assert fields == {"@odata.nextLink": "/next"}
    with pytest.raises(BadAnswer, match=r"error in odata\.error: '.*expired"):
        decoder.decode(b'{"odata.error":{"message":"expired"}}')


# -- errors in a 200


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"ok": False, "error": "invalid_auth"}, ["ok: false", "error: 'invalid_auth'"]),
        ({"success": "false", "message": "no such org"}, ["success: 'false'", "message: 'no such org'"]),
        ({"errors": [{"message": "expired"}], "data": None}, ["expired"]),
        ({"status": "error", "detail": "later"}, ["status: 'error'", "detail: 'later'"]),
        ({"errorCode": "E0000011", "errorSummary": "Invalid token"}, ["Invalid token"]),
        ({"fault": {"faultstring": "quota"}}, ["quota"]),
        ({"Error": "x\x1b[31m" + "y" * 500}, [r"x\x1b[31m", "…"]),
    ],
)
@pytest.mark.parametrize("optional", [False, True])
def test_an_answer_that_speaks_of_an_error_is_told_as_one(
    said: dict[str, Any], told: list[str], optional: bool
) -> None:
    with pytest.raises(BadAnswer) as caught:
        a_decoder(a_source(results_field="data.items", results_optional=optional)).decode(json.dumps(said).encode())
    text = str(caught.value)
    assert all(words in text for words in told), text
    assert "results_optional" not in text
    assert len(text) < 800


@pytest.mark.parametrize("said", [{"message": "ok"}, {"errors": []}, {"error": None, "status": "ok"}, {"error": False}])
def test_what_is_no_error_leaves_a_quiet_vendor_quiet(said: dict[str, Any]) -> None:
    assert (
        len(a_decoder(a_source(results_field="items", results_optional=True)).decode(json.dumps(said).encode())[0]) == 0
    )


def test_no_event_is_shown_where_an_answer_is_refused() -> None:
    private = {"user": "alice@example.com", "id": "e-1"}
    bodies = [
        json.dumps({"rows": [private], "n": 1}),
        json.dumps(json.dumps([private])),
        f"<html>{json.dumps(private)}</html>",
        json.dumps([private])[:-4],
        f"id,user\ne-1,{private['user']}\n",
        json.dumps({"items": private}),
    ]
    for body in bodies:
        with pytest.raises(BadAnswer) as caught:
            a_decoder(a_source(results_field="items")).decode(body.encode())
        assert "alice" not in str(caught.value)
        assert "e-1" not in str(caught.value)
        assert f"{len(body)} bytes" in str(caught.value) or "found" in str(caught.value)


def test_a_secret_in_an_error_is_masked_before_it_is_cut() -> None:
    secret = "s3cr3t" * 50
    decoder = a_decoder(a_source(results_field="items"), mask=lambda text: text.replace(secret, "***"))
    with pytest.raises(BadAnswer) as caught:
        decoder.decode(json.dumps({"error": "x" * 100 + secret}).encode())
    assert "s3cr" not in str(caught.value)
    assert "***" in str(caught.value)


# -- what is no time


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (None, "nothing"),
        ("27/11/2026 9:05 pm", "text like '99/99/9999 9:99 aa'"),
        ({"a": 1}, "an object"),
        (12, "a number like 99"),
        ("x" * 100, "text like '" + "a" * 40 + "…'"),
    ],
)
def test_what_stands_in_place_of_a_time_is_told_by_its_shape(value: object, shape: str) -> None:
    body = json.dumps([{"id": "1", "time": AT}, {"id": "2", "time": value}]).encode()
    page, _ = a_decoder(a_source()).decode(body)
    assert page.times_ms == [AT_MS, None]
    assert page.untimed_shape == shape


# -- sizes

ABSURD = {
    "tiny events": "b'[' + b'{},' * (M // 3) + b'{}]'",
    "numbers": "b'[' + b'1,' * (M // 2) + b'1]'",
    "line breaks": "b'[' + b'\\n' * M + b']'",
    "half emojis": 'b\'[{"id":"a","x":"\' + b\'\\\\ud800\' * (M // 6) + b\'"}]\'',
    "an id of half emojis": "b'[{\"id\":\"' + b'\\\\ud800' * (M // 6) + b'\"}]'",
    "one string": 'b\'[{"id":"a","x":"\' + b\'a\' * M + b\'"}]\'',
    "lists in an event": "b'[{\"x\":[' + b'[],' * (M // 3) + b'[]]}]'",
    "depth": "b'[' * (M // 2) + b']' * (M // 2)",
    "no end": "b'[' + b'{\"a\":[{},' * (M // 9)",
    "names": "b'{' + b'\"a\":1,' * (M // 6) + b'\"b\":2}'",
}
PROGRAM = """
import resource
from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import BadAnswer
from flicker_dagster_tests.builders import a_decoder, a_filter, a_source
M = 3 << 20
limits = Limits(page_events=10_000)
decoder = a_decoder(a_source(id_field=None, limits=limits))
judge = a_filter(match_on=[{{"pattern": "a"}}], exclude_on=[{{"field": "y", "pattern": "b"}}])
body = {body}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    page, _ = decoder.decode(body)
    judge.mask(page)
except BadAnswer as error:
    assert "limits.page_events" in str(error) or "not the JSON" in str(error), error
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (3 * M + 600 * limits.page_events))
"""


@pytest.mark.parametrize("body", ABSURD.values(), ids=ABSURD)
def test_an_absurd_page_takes_a_small_multiple_of_its_size(body: str) -> None:
    program = PROGRAM.format(body=body)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1, "more than 3 times page_bytes and 600 bytes for each of page_events"


def test_a_page_with_more_events_than_memory_is_meant_for_says_what_to_do() -> None:
    source = a_source(limits=Limits(page_events=1_000))
    body = b"[" + b",".join(b'{"id":%d}' % number for number in range(1_001)) + b"]"
    with pytest.raises(BadAnswer, match=r"limits\.page_events \(1000\).*page_size"):
        a_decoder(source).decode(body)
    with pytest.raises(BadAnswer, match=r"limits\.page_events \(1000\)"):
        a_decoder(source).decode(b"[" + b",".join([b"{}"] * 1_001) + b"]")
    nested = b"[" + b",".join(b'{"id":%d,"x":[{},{}]}' % number for number in range(1_000)) + b"]"
    assert len(a_decoder(source).decode(nested)[0]) == 1_000


# -- anything among anything

good = st.fixed_dictionaries({"n": st.integers(), "x": st.text(max_size=5)}).map(
    lambda value: json.dumps(value).encode()[1:]
)
odd = st.sampled_from(
    [b'"x":NaN}', b'"x":"\xff"}', rb'"x":"\ud800"}', b'"x":"a\x01"}', rb'"x":"\q"}', b'"x":1e999,"x":2}', b'"x":01}']
)
lost = st.sampled_from([b'"x":"a"b"}', b'"x" 1}', b'"x":[1}', b'"x":"a}', b'"x":1}}'])


@pytest.mark.fuzz
@given(
    st.lists(st.tuples(st.booleans(), good | odd) | st.tuples(st.just(True), lost), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_every_event_arrives_once_or_is_set_aside(drawn: list[tuple[bool, bytes]], wrapped: bool, pretty: bool) -> None:
    events = [b'{"id":"e%d","time":"%s",' % (number, AT.encode()) + rest for number, (_, rest) in enumerate(drawn)]
    body = (b",\n" if pretty else b",").join(events).join((b"[", b"]"))
    source = a_source(results_field="items" if wrapped else "")
    page, _ = a_decoder(source).decode(b'{"a":"\xff","items":' + body + b',"b":[]}' if wrapped else body)
    assert len(page.digests) == len(page.times_ms) == len(page.events)
    whole = [event.replace(b'": ', b'":').replace(b", ", b",") if pretty else event for event in events]
    sound = [number for number, event in enumerate(events) if not event.endswith(LOST)]
    found = [bytes(event) for event in page.events]
    if not pretty:
        assert [event for index, event in enumerate(found) if index not in page.unfit] == [
            whole[number] for number in sound
        ]
    assert len(found) - len(page.unfit) == len(sound)
    assert b"".join(found[index] for index in page.unfit).count(b'"id":"e') == len(events) - len(sound)
    times = [ms for index, ms in enumerate(page.times_ms) if index not in page.unfit]
    assert times == [AT_MS] * len(sound)


LOST = (b'"x":"a"b"}', b'"x" 1}', b'"x":[1}', b'"x":"a}', b'"x":1}}')
