"""The URL of each request."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.links import links_of
from flicker_dagster.collect.requests import RequestMaker
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.vocabulary import Over
from flicker_dagster.types import WalkState
from flicker_dagster_tests.builders import a_source

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z
DAY_MS = 86_400_000
NONE = Pagination(pagination_type="none")
CURSOR = Pagination(pagination_type="cursor", cursor_param="after", limit_param="limit", page_size=7)


def url(
    endpoint: str = "https://v.test/e",
    query: dict[str, str] | None = None,
    *,
    state: WalkState | None = None,
    now_ms: int = NOON_MS,
    **source: Any,
) -> str:
    fields = {"pagination": NONE} | source
    listing = a_source(endpoint=endpoint, query_params=query or {}, **fields).listing
    return RequestMaker(listing, endpoint, str).request(state or WalkState(), now_ms=now_ms).url


def pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(text).query, keep_blank_values=True)


SPANNED: dict[str, Any] = {"time_filter_param": "since", "time_filter_until_param": "until"}
HOUR = WalkState(start_ms=NOON_MS - 3_600_000, end_ms=NOON_MS)


def test_an_endpoint_without_anything_to_say_stays_as_it_is() -> None:
    assert url() == "https://v.test/e"


def test_what_the_endpoint_asks_already_stays_in_every_repetition() -> None:
    asked = url("https://v.test/e?type=a&type=b&flag=&q=x%20y+z#part", {"n": "1"})
    assert asked == "https://v.test/e?type=a&type=b&flag=&q=x%20y%20z&n=1"


def test_a_parameter_of_ours_replaces_the_endpoints() -> None:
    asked = url("https://v.test/e?limit=1&limit=2&x=1", pagination=CURSOR)
    assert pairs(asked) == [("x", "1"), ("limit", "7")]


@given(st.text(min_size=1, max_size=30))
def test_every_cursor_arrives_as_it_was_given(cursor: str) -> None:
    cursor = cursor.encode("utf-8", "ignore").decode() or "c"
    if cursor.startswith("http"):
        return
    asked = url(state=WalkState(cursor=cursor, page=1), pagination=CURSOR)
    assert ("after", cursor) in pairs(asked)
    assert "#" not in asked
    assert " " not in asked


@pytest.mark.parametrize("link", ["https://v.test/e?a=%2f&b=x+y&c=%C3%A9&after=1|2", "http://v.test/e"])
def test_a_next_link_is_followed_verbatim(link: str) -> None:
    assert url(state=WalkState(cursor=link, page=3), pagination=CURSOR, query={"never": "sent"}, **SPANNED) == link


@pytest.mark.parametrize(
    ("fmt", "since", "until"),
    [
        ("rfc3339", "2026-01-01T11:00:00.000Z", "2026-01-01T12:00:00.000Z"),
        ("unix", "1767265200", "1767268800"),
        ("unix_ms", "1767265200000", "1767268800000"),
        ("%Y-%m-%d %H:%M", "2026-01-01 11:00", "2026-01-01 12:00"),
        ("%Y-%m-%d", "2026-01-01", "2026-01-02"),
    ],
)
def test_a_span_is_asked_for_in_the_vendors_format(fmt: str, since: str, until: str) -> None:
    asked = url(state=HOUR, now_ms=NOON_MS + DAY_MS, time_filter_format=fmt, **SPANNED)
    assert pairs(asked) == [("since", since), ("until", until)]


@pytest.mark.parametrize(
    ("fmt", "until", "rounded_up"),
    [
        ("%Y-%m-%d", "2026-01-01", "2026-01-02"),
        ("%Y-%m-%dT%H", "2026-01-01T12", "2026-01-01T13"),
        ("%Y-%m-%d %H:%M", "2026-01-01 12:34", "2026-01-01 12:35"),
        ("unix", "1767270896", "1767270897"),
        ("rfc3339", "2026-01-01T12:34:56.789Z", "2026-01-01T12:34:56.789Z"),
    ],
)
def test_an_upper_bound_lies_in_the_future_only_where_the_vendor_takes_that(
    fmt: str, until: str, rounded_up: str
) -> None:
    now_ms = NOON_MS + 2_096_789  # 12:34:56.789
    state = WalkState(start_ms=NOON_MS, end_ms=now_ms)
    for takes_it, wanted in ((False, until), (True, rounded_up)):
        changes: dict[str, Any] = SPANNED | {"time_filter_format": fmt, "time_filter_until_future": takes_it}
        assert dict(pairs(url(state=state, now_ms=now_ms, **changes)))["until"] == wanted
        open_end = url(query={"q": "{end}"}, state=WalkState(start_ms=NOON_MS), now_ms=now_ms, **changes)
        assert dict(pairs(open_end))["q"] == wanted


@given(st.integers(NOON_MS, NOON_MS + 10**9), st.integers(0, 10**9))
def test_a_coarse_format_never_cuts_the_span(start_ms: int, length_ms: int) -> None:
    state = WalkState(start_ms=start_ms, end_ms=start_ms + length_ms)
    asked = dict(pairs(url(state=state, now_ms=2 * NOON_MS, time_filter_format="unix", **SPANNED)))
    assert int(asked["since"]) * 1000 <= start_ms
    assert int(asked["until"]) * 1000 >= start_ms + length_ms


@pytest.mark.parametrize(
    ("fmt", "since"),
    [("rfc3339", "2026-01-01T10:59:59.999Z"), ("unix", "1767265199"), ("%Y-%m-%dT%H:%MZ", "2026-01-01T10:59Z")],
)
def test_a_vendor_that_leaves_out_its_start_is_asked_from_one_step_earlier(fmt: str, since: str) -> None:
    request = {"start": {"at": "since"}, "end": {"at": "until"}, "start_exclusive": True}
    asked = dict(pairs(url(state=HOUR, request=request, time_filter_format=fmt)))
    inclusive = dict(pairs(url(state=HOUR, request=request | {"start_exclusive": False}, time_filter_format=fmt)))
    assert asked == {"since": since, "until": inclusive["until"]}
    assert inclusive["since"] > since


def test_start_and_end_stand_inside_other_parameters() -> None:
    asked = url(query={"q": "created:>={start} created:<{end}"}, state=HOUR)
    assert pairs(asked) == [("q", "created:>=2026-01-01T11:00:00.000Z created:<2026-01-01T12:00:00.000Z")]
    assert "%3A%3E%3D" in asked


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("https://v.test/groups/{member}/e", "https://v.test/groups/a%2F1/e"),
        ("https://v.test/groups/{member.attributes.name}/e", "https://v.test/groups/Sales/e"),
    ],
)
def test_a_member_of_a_set_is_named_by_its_id_or_by_what_it_holds(endpoint: str, asked: str) -> None:
    over = {"url": "/groups", "id": "key"}
    listing = a_source(endpoint=endpoint, over=over, pagination=NONE).listing
    group = {"key": "a/1", "attributes": {"name": "Sales"}}
    state = WalkState(member="a/1")
    assert RequestMaker(listing, endpoint, str).request(state, now_ms=NOON_MS, member=group).url == asked


def test_a_cursor_comes_with_or_without_the_first_parameters() -> None:
    state = WalkState(start_ms=NOON_MS, cursor="c", page=1)
    repeated = dict(pairs(url(query={"q": "1"}, state=state, pagination=CURSOR, **SPANNED)))
    assert repeated == {"q": "1", "since": "2026-01-01T12:00:00.000Z", "after": "c", "limit": "7"}
    alone = CURSOR.model_copy(update={"repeat_params": False})
    assert dict(pairs(url(query={"q": "1"}, state=state, pagination=alone, **SPANNED))) == {"after": "c", "limit": "7"}


def test_pages_and_offsets_are_counted_from_where_the_vendor_begins() -> None:
    numbered = Pagination(pagination_type="page", page_param="p", first_page=0)
    assert pairs(url(pagination=numbered, state=WalkState(page=2))) == [("p", "2")]
    offset = Pagination(pagination_type="offset", offset_param="o", limit_param="n", page_size=5)
    assert pairs(url(pagination=offset, state=WalkState(offset=10, page=2))) == [("n", "5"), ("o", "10")]


def test_a_member_is_what_the_walk_knows_it_by_and_a_path_leads_into_it() -> None:
    """`{member}` of a set of objects is the id that `over.id` names, not the object."""
    endpoint = "https://v.test/groups/{member}/events?name={member.name}"
    listing = a_source(endpoint=endpoint, over=Over(url="/groups")).listing
    state = WalkState(member="a/7")
    made = RequestMaker(listing, endpoint, str).request(state, now_ms=NOON_MS, member={"id": "a/7", "name": "ops"})
    assert made.url.startswith("https://v.test/groups/a%2F7/events?")
    assert dict(pairs(made.url))["name"] == "ops"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['<https://v.test/a>; rel="next"'], "https://v.test/a"),
        (["<https://v.test/a>; rel=next"], "https://v.test/a"),
        (['<https://v.test/s>; rel="self", <https://v.test/a,b;c>; rel="next"'], "https://v.test/a,b;c"),
        (['<https://v.test/s>; rel="self"', '<https://v.test/a>; rel="next"'], "https://v.test/a"),
        (['<https://v.test/a>; title="x, y; rel=prev"; rel="next"'], "https://v.test/a"),
        (['<https://v.test/a>;rel="last NEXT"'], "https://v.test/a"),
        (['<https://v.test/a> ; REL = "next" ; results="true"'], "https://v.test/a"),
        (['<https://v.test/s>; rel="prev"'], None),
        (["nonsense", ""], None),
        ([], None),
    ],
)
def test_links_in_every_spelling(lines: list[str], expected: str | None) -> None:
    assert links_of(lines).get("next") == expected


@given(st.lists(st.text("<>;,= \"relnxt'/:", max_size=60), max_size=3))
def test_any_link_header_is_read_without_an_error(lines: list[str]) -> None:
    assert isinstance(links_of(lines), dict)
