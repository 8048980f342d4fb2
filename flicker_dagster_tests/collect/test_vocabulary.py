"""Requests by the vocabulary: where values go, what is repeated, what a rule makes of an answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.answers import fits, rule_of
from flicker_dagster.collect.paging import Seen, next_state
from flicker_dagster.collect.requests import RequestMaker
from flicker_dagster.collect.templates import filled, put
from flicker_dagster.config.vocabulary import AnswerRule, Origin, Paging, Place
from flicker_dagster.errors import BadAnswer, VendorRefused
from flicker_dagster.transport.exchange import Request
from flicker_dagster.types import WalkState
from flicker_dagster_tests.builders import a_source

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z
HOUR = WalkState(start_ms=NOON_MS - 3_600_000, end_ms=NOON_MS)


def made(state: WalkState = HOUR, *, member: Any = None, windows: bool = False, **source: Any) -> Request:
    built = a_source(**{"endpoint": "https://v.test/e", "time_filter_format": "rfc3339", **source})
    return RequestMaker(built.listing, built.endpoint, str, windows=windows).request(
        state, now_ms=NOON_MS, member=member
    )


def body_of(request: Request) -> Any:
    assert request.body is not None
    return json.loads(request.body)


def pairs(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(request.url).query, keep_blank_values=True)


POSTED: dict[str, Any] = {
    "request": {"method": "POST", "body": {"service": ["all"]}, "start": {"into": "json", "at": "start_time"}},
    "paging": {"limit": {"into": "json", "at": "limit", "type": "number"}, "cursor": {"into": "json", "at": "cursor"}},
}


def test_a_posted_question_holds_bounds_and_page_size_where_they_belong() -> None:
    request = made(**POSTED)
    assert (request.method, request.headers["Content-Type"]) == ("POST", "application/json")
    assert body_of(request) == {"service": ["all"], "start_time": "2026-01-01T11:00:00.000Z", "limit": 100}


@pytest.mark.parametrize(
    ("repeats", "body"),
    [
        ("all", {"service": ["all"], "start_time": "2026-01-01T11:00:00.000Z", "limit": 100, "cursor": "c"}),
        ("limit", {"limit": 100, "cursor": "c"}),
        ("none", {"cursor": "c"}),
    ],
)
def test_what_is_repeated_beside_a_cursor(repeats: str, body: dict[str, Any]) -> None:
    paging = {**POSTED["paging"], "repeats": repeats}
    request = made(WalkState(start_ms=HOUR.start_ms, cursor="c", page=1), request=POSTED["request"], paging=paging)
    assert body_of(request) == body


def test_later_requests_may_go_elsewhere() -> None:
    paging = {**POSTED["paging"], "repeats": "none", "next": {"url": "/e/continue"}}
    request = made(WalkState(cursor="c", page=1), request=POSTED["request"], paging=paging)
    assert request.url == "https://v.test/e/continue"
    assert body_of(request) == {"cursor": "c"}


def test_bounds_inside_a_phrase_in_two_formats() -> None:
    request = made(query_params={"q": "t:[{start} TO {end:unix_ms}] {other}"})
    assert pairs(request) == [("q", f"t:[2026-01-01T11:00:00.000Z TO {NOON_MS}] {{other}}")]


def test_a_parameter_that_is_sent_twice() -> None:
    request = made(query_params={"filter[created_at][]": ["{start}", "{end}"]})
    assert [value for _, value in pairs(request)] == ["2026-01-01T11:00:00.000Z", "2026-01-01T12:00:00.000Z"]


def test_the_first_cursor_is_made_of_the_start() -> None:
    paging = {"cursor": {"at": "from"}, "first_cursor": "900{start:%Y%m%d%H%M%S}0"}
    assert pairs(made(paging=paging)) == [("from", "900202601011100000")]
    assert pairs(made(WalkState(start_ms=1, cursor="x"), paging=paging)) == [("from", "x")]


def test_requests_for_windows_may_be_unlike_live_polls() -> None:
    keys: dict[str, Any] = {
        "query_params": {"stream": "live"},
        "request": {"for_windows": {"query": {"stream": "past"}}},
    }
    assert pairs(made(**keys)) == [("stream", "live")]
    assert pairs(made(windows=True, **keys)) == [("stream", "past")]


def test_a_member_stands_in_the_path_and_cannot_leave_it() -> None:
    state = WalkState(member="a/../x?y#z")
    over = {"members": ["a"]}
    request = made(state, endpoint="https://v.test/groups/{member}/events", member={"id": "ignored"}, over=over)
    assert request.url == "https://v.test/groups/a%2F..%2Fx%3Fy%23z/events"
    request = made(state, endpoint="https://v.test/groups/{member.path}/events", member={"path": "b/c"}, over=over)
    assert request.url == "https://v.test/groups/b%2Fc/events"


def test_what_an_answer_says_is_never_a_placeholder() -> None:
    paging = {"cursor": {"at": "cursor"}, "following": {"at": "next"}}
    request = made(WalkState(cursor="{start}", page=1, start_ms=1), paging=paging, query_params={"q": "x"})
    assert ("cursor", "{start}") in pairs(request)


@given(st.text())
def test_texts_without_a_known_placeholder_stay_as_they_are(text: str) -> None:
    if not any(
        f"{{{name}" in text
        for name in ("start", "end", "limit", "cursor", "page", "offset", "member", "object", "answer")
    ):
        assert filled(text, {"start": lambda _: "x"}) == text


@given(st.lists(st.sampled_from(["a", "b", "0", "2"]), min_size=1, max_size=4), st.text(max_size=5))
def test_what_is_put_into_a_body_is_found_there(parts: list[str], text: str) -> None:
    value: Any = put(None, Place(into="json", at=".".join(parts)), text)
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    assert value == text


@pytest.mark.parametrize(("kind", "text"), [("number", "x"), ("number", "true"), ("json", "{")])
def test_a_value_that_does_not_fit_its_place_is_said(kind: Any, text: str) -> None:
    with pytest.raises(VendorRefused, match="goes to at of the request"):
        put({}, Place(into="json", at="at", type=kind), text)


# -- rules


RULES = [
    AnswerRule(status=[400, 403], at="error.code", matches="^AF429", means="wait", wait_s=5),
    AnswerRule(at="errors", means="refused"),
    AnswerRule(status=404, means="none_left"),
]


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (403, b'{"error":{"code":"AF429"}}', "wait"),
        (401, b'{"error":{"code":"AF429"}}', None),
        (200, b'{"errors":[{"message":"x"}],"data":null}', "refused"),
        (200, b'{"errors":[],"data":{}}', None),
        (200, b'{"errors":null}', None),
        (404, b"", "none_left"),
        (200, b"not json", None),
        (200, b'{"errors":', None),
    ],
)
def test_the_first_rule_that_fits_counts(status: int, body: bytes, means: str | None) -> None:
    found = rule_of(RULES, status, {}, body)
    assert (None if found is None else found.means) == means


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"status":{"code":401}}', True),
        (b' {"status.code":401,"status":{"code":200}} ', True),
        (b'{"status":{"code":200},"status":{"code":401}}', True),
        (b'{"status":{"code":401},"status":{"code":200}}', False),
        (b'{"status":{"code":401},"data":NaN}', True),
        (b'{"status":{"code":401},"data":"\x01\xff"}', True),
        (b'{"status":{"code":401}} and more', True),
        (b'{"status":{"code":401},"data":' + 10_000 * b"[" + 10_000 * b"]" + b"}", True),
        (b'{"status":{"code":401},"data":', False),  # cut off: it is asked again
        (b'{"status":[{"code":401}]}', False),
        (b'[{"status":{"code":401}}]', False),
        (b'{"status":"code"}', False),
    ],
)
def test_a_rule_finds_its_place_in_sound_answers_and_in_others(body: bytes, found: bool) -> None:
    rule = AnswerRule(at="status.code", matches="^401$", means="unauthorized")
    assert fits(rule, 200, {}, body) is found


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_answer_makes_a_rule_fail(body: bytes, status: int) -> None:
    for rule in RULES:
        assert fits(rule, status, {}, body) in (True, False)


# -- what follows


def seen(rows: int, fields: dict[str, Any] | None = None, **more: Any) -> Seen:
    return Seen(rows, [], fields or {}, "https://v.test/e", **more)


def test_what_follows_a_page() -> None:
    header = Paging(
        cursor=Place(at="after"), following=Origin(of="header", at="X-After"), size=Origin(of="header", at="X-Limit")
    )
    header = header.model_copy(update={"short_page_ends": True})
    assert next_state(header, WalkState(), seen(2, headers={"X-After": "[1]", "X-Limit": "2"})).cursor == "[1]"  # type: ignore[union-attr]
    assert next_state(header, WalkState(), seen(1, headers={"X-After": "[1]", "X-Limit": "2"})) is None
    row = Paging(cursor=Place(at="after"), following=Origin(of="row", at="id"), more=Origin(at="has_more"))
    assert next_state(row, WalkState(), seen(1, {"has_more": True}, last_row=b'{"id":"x"}')).cursor == "x"  # type: ignore[union-attr]
    assert next_state(row, WalkState(), seen(1, {"has_more": False}, last_row=b'{"id":"x"}')) is None
    joined = Paging(cursor=Place(at="next_offset"), following=Origin(at="next", join=","))
    assert next_state(joined, WalkState(), seen(1, {"next": ["15", "tx"]})).cursor == "15,tx"  # type: ignore[union-attr]
    total = Paging(offset=Place(at="offset"), total=Origin(at="total"))
    assert next_state(total, WalkState(offset=4), seen(4, {"total": 9})) is not None
    assert next_state(total, WalkState(offset=5), seen(4, {"total": 9})) is None


def test_a_link_whose_meaning_is_told_by_a_parameter() -> None:
    paging = Paging(following=Origin(of="link", at="next; results=true", gives="url"))
    link = '<https://v.test/e?c=1>; rel="next"; results="{}"'
    here = Seen(1, [link.format("true")], {}, "https://v.test/e")
    assert next_state(paging, WalkState(), here).cursor == "https://v.test/e?c=1"  # type: ignore[union-attr]
    assert next_state(paging, WalkState(), Seen(1, [link.format("false")], {}, "https://v.test/e")) is None


def test_pages_without_events_end_a_listing_only_where_they_do() -> None:
    goes_on = Paging(cursor=Place(at="c"), following=Origin(at="next"), empty_page_ends=False)
    assert next_state(goes_on, WalkState(), seen(0, {"next": "x"})) is not None
    assert next_state(goes_on, WalkState(), seen(0, {"next": None})) is None
    ends = goes_on.model_copy(update={"empty_page_ends": True})
    assert next_state(ends, WalkState(), seen(0, {"next": "x"})) is None


def test_more_without_a_way_to_ask_for_it_is_no_end() -> None:
    paging = Paging(cursor=Place(at="c"), following=Origin(at="next"), more=Origin(at="more"))
    with pytest.raises(BadAnswer, match="says there is more"):
        next_state(paging, WalkState(), seen(3, {"more": True}))


@pytest.mark.parametrize("said", [-1, 0, 99, "0", None, "x"])
def test_a_total_of_less_than_was_read_is_none(said: Any) -> None:
    paging = Paging(offset=Place(at="offset"), total=Origin(at="total"))
    assert next_state(paging, WalkState(), seen(100, {"total": said})) is not None
    assert next_state(paging, WalkState(offset=100), seen(0, {"total": said})) is None


@pytest.mark.parametrize("means", ["none_left", "ignore"])
def test_a_server_that_fails_has_not_said_that_there_is_nothing(means: Any) -> None:
    rules = [AnswerRule(at="", matches="no events", means=means)]
    assert rule_of(rules, 404, {}, b"no events") is not None
    assert rule_of(rules, 500, {}, b"could reach no events store") is None
    said = [AnswerRule(status=500, at="", matches="no events", means=means)]
    assert rule_of(said, 500, {}, b"no events") is not None
