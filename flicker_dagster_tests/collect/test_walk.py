"""Every walk ends, and ends with every event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.circles import STALE_PAGES
from flicker_dagster.collect.identity import digests_of_texts
from flicker_dagster.collect.walk import walk
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.masking import Masker
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vocabulary import Origin, Paging, Place, RequestKeys
from flicker_dagster.errors import BadAnswer, CursorRejected, VendorRefused
from flicker_dagster.types import WalkState
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.vendors import ENDPOINT, ScriptedClient, client_of, rows

CURSOR = Pagination(pagination_type="cursor", cursor_param="cursor", next_cursor_field="next", limit_param="limit")
NUMBERED = Pagination(pagination_type="page", page_param="page", limit_param="limit")
OFFSET = Pagination(pagination_type="offset", offset_param="offset", limit_param="limit")
LINK = Pagination(pagination_type="link_header", limit_param="limit")
NEXT_URL = Pagination(pagination_type="next_url", next_url_field="next", limit_param="limit")
ALL = [CURSOR, NUMBERED, OFFSET, LINK, NEXT_URL]


#: 2026-01-01T12:00:00Z
NOON_MS = 1_767_268_800_000
ENDS_AT_START = Paging(cursor=Place(at="cursor"), following=Origin(at="next"), ends_at_start=True)
SINCE = RequestKeys(start=Place(at="since"))


def source_of(paging: Pagination, **changes: Any) -> SourceConfig:
    return a_source(endpoint=ENDPOINT, results_field="items", pagination=paging, **changes)


def spoken(**changes: Any) -> SourceConfig:
    """The same in the words of the vocabulary."""
    return a_source(endpoint=ENDPOINT, results_field="items", **changes)


def walked(source: SourceConfig, client: ScriptedClient, state: WalkState | None = None) -> list[bytes]:
    return [d for page in walk(source.listing, client_of(client), state or WalkState()) for d in page.decoded.digests]


def ids_of(numbers: Any) -> set[bytes]:
    return set(digests_of_texts([str(number) for number in numbers]))


def listing(paging: Pagination, ids: list[int], *, cap: int, end: Any = None) -> ScriptedClient:
    """An honest vendor whose last page says `end` (null, "", false or nothing at all) for a cursor."""

    def answer(url: str, query: dict[str, str]) -> Any:
        limit = min(int(query["limit"]), cap)
        kind = paging.pagination_type
        if kind == "page":
            start = (int(query.get("page", "1")) - 1) * limit
        elif kind == "offset":
            start = int(query.get("offset", "0"))
        else:
            start = int(query.get("cursor", "0"))
        page = ids[start : start + limit]
        body: dict[str, Any] = {"items": rows(page)}
        more = start + limit < len(ids)
        following = f"{ENDPOINT}?limit={query['limit']}&cursor={start + limit}"
        if kind == "link_header":
            return body, [f'<{url}>; rel="self"', *([f'<{following}>; rel="next"'] if more else [])]
        if more:
            body["next"] = following if kind == "next_url" else str(start + limit)
        elif end != "absent":
            body["next"] = end
        return body

    return ScriptedClient(answer)


@given(
    st.sampled_from(ALL),
    st.integers(0, 60),
    st.integers(1, 20),
    st.integers(1, 25),
    st.sampled_from([None, "", False, "absent"]),
    st.booleans(),
)
def test_an_honest_listing_is_read_whole(
    paging: Pagination, count: int, size: int, cap: int, end: Any, descending: bool
) -> None:
    ids = list(range(count))[:: -1 if descending else 1]
    client = listing(paging, ids, cap=cap, end=end)
    source = source_of(paging.model_copy(update={"page_size": size}))
    assert walked(source, client) == digests_of_texts([str(number) for number in ids])
    assert len(client.urls) <= count // min(size, cap) + 2


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=4), min_size=1, max_size=12))
def test_pages_that_overlap_cost_no_event_behind_them(pages: list[list[int]]) -> None:
    """Cursors move on, pages repeat what came before: fewer than a few in a row without news end nothing."""
    fresh = [[100 + number, *page] for number, page in enumerate(pages)]
    mixed = [page for pair in zip(pages, fresh) for page in pair]

    def answer(_url: str, query: dict[str, str]) -> Any:
        number = int(query.get("cursor", "0"))
        return {"items": rows(mixed[number]), "next": str(number + 1) if number + 1 < len(mixed) else None}

    client = ScriptedClient(answer)
    assert set(walked(source_of(CURSOR), client)) == ids_of(number for page in mixed for number in page)


@given(
    st.integers(1, 6),
    st.integers(20, 40),
    st.lists(st.integers(0, 12), max_size=8),
    st.sampled_from([NUMBERED, OFFSET]),
)
def test_a_listing_that_shifts_while_it_is_read_loses_nothing_of_what_was_there(
    size: int, count: int, arrivals: list[int], paging: Pagination
) -> None:
    """Newest first, by number: what arrives between two requests pushes everything on, by whole pages at times.

    A vendor that gains a page per request, again and again, cannot be told from one that ignores the page number.
    """
    held = list(range(count))
    room = size * (STALE_PAGES - 1)
    while sum(arrivals) > room:
        arrivals.pop()

    def answer(_url: str, query: dict[str, str]) -> Any:
        start = int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * size
        page = held[start : start + size]
        for _ in range(arrivals.pop() if arrivals else 0):
            held.insert(0, 1_000 + len(held))
        return {"items": rows(page)}

    got = walked(source_of(paging.model_copy(update={"page_size": size})), ScriptedClient(answer))
    assert ids_of(range(count)) <= set(got)


@given(st.integers(1, 6), st.integers(0, 5))
def test_cursors_in_a_circle_end_the_walk_after_one_round(length: int, tail: int) -> None:
    def answer(_url: str, query: dict[str, str]) -> Any:
        number = int(query.get("cursor", "0"))
        following = number + 1 if number + 1 < tail + length else tail
        return {"items": rows([number]), "next": str(following)}

    client = ScriptedClient(answer)
    assert set(walked(source_of(CURSOR), client)) == ids_of(range(tail + length))
    assert len(client.urls) <= tail + length + 1


@given(st.integers(1, 4), st.sampled_from(ALL))
def test_an_api_that_ignores_its_paging_parameter_is_left_after_a_few_pages(cycle: int, paging: Pagination) -> None:
    """The cursor is always new and the pages go A, B, A, B …"""
    asked = iter(range(1_000))

    def answer(_url: str, _query: dict[str, str]) -> Any:
        number = next(asked)
        following = f"{ENDPOINT}?cursor={number}" if paging.pagination_type != "cursor" else f"c{number}"
        body = {"items": rows([number % cycle]), "next": following}
        return body, [f'<{following}>; rel="next"'] if paging.pagination_type == "link_header" else []

    client = ScriptedClient(answer)
    assert set(walked(source_of(paging), client)) == ids_of(range(cycle))
    assert len(client.urls) == cycle + STALE_PAGES


@pytest.mark.parametrize("paging", [NUMBERED, OFFSET])
def test_has_more_and_nothing_there_does_not_count_for_ever(paging: Pagination) -> None:
    client = ScriptedClient(lambda _url, _query: {"items": [], "has_more": True})
    assert walked(source_of(paging.model_copy(update={"has_more_field": "has_more"})), client) == []
    assert len(client.urls) <= STALE_PAGES


def test_empty_pages_with_cursors_of_their_own_are_walked_through() -> None:
    def answer(_url: str, query: dict[str, str]) -> Any:
        number = int(query.get("cursor", "0"))
        return {"items": rows([1]) if number == 20 else [], "next": str(number + 1), "more": number < 20}

    paging = CURSOR.model_copy(update={"has_more_field": "more"})
    assert walked(source_of(paging), ScriptedClient(answer)) == list(ids_of([1]))


@pytest.mark.parametrize("more", [False, "false", "0", "no", None, ""])
def test_has_more_false_ends_even_with_a_cursor(more: Any) -> None:
    client = ScriptedClient(lambda _url, _query: {"items": rows([1]), "next": "c", "more": more})
    walked(source_of(CURSOR.model_copy(update={"has_more_field": "more"})), client)
    assert len(client.urls) == 1


def test_a_short_page_ends_only_where_the_source_says_so() -> None:
    paging = OFFSET.model_copy(update={"page_size": 10})
    assert len(walked(source_of(paging), listing(paging, list(range(9)), cap=3))) == 9
    stops = paging.model_copy(update={"stop_on_short_page": True})
    assert len(walked(source_of(stops), listing(stops, list(range(9)), cap=3))) == 3


@given(st.sampled_from(ALL), st.integers(1, 40), st.integers(1, 7), st.integers(0, 10))
def test_a_walk_goes_on_from_any_page_it_was_stopped_at(paging: Pagination, count: int, size: int, stop: int) -> None:
    source = source_of(paging.model_copy(update={"page_size": size}))
    got: list[bytes] = []
    state: WalkState | None = WalkState()
    pages = walk(source.listing, client_of(listing(paging, list(range(count)), cap=50)), WalkState())
    for number, page in enumerate(pages):
        got += page.decoded.digests
        state = page.next
        if number == stop:
            break
    if state is not None:
        got += walked(source, listing(paging, list(range(count)), cap=50), state)
    assert got == digests_of_texts([str(number) for number in range(count)])


def test_a_next_link_to_another_host_is_refused() -> None:
    for paging, body, links in (
        (LINK, {"items": rows([1])}, ['<https://evil.test/x?token=1>; rel="next"']),
        (NEXT_URL, {"items": rows([1]), "next": "https://evil.test/x"}, []),
        (NEXT_URL, {"items": rows([1]), "next": "http://vendor.test/events"}, []),
        (NEXT_URL, {"items": rows([1]), "next": "//evil.test/x"}, []),
        (CURSOR, {"items": rows([1]), "next": "https://vendor.test@evil.test/"}, []),
    ):
        client = ScriptedClient(lambda _url, _query, body=body, links=links: (body, links))
        with pytest.raises(
            VendorRefused, match=r"test-source: GET .*: the next link (leads to another host|holds a user)"
        ):
            walked(source_of(paging), client)
        assert client.urls == [client.urls[0]]


def test_a_kept_cursor_of_another_host_is_rejected_and_not_followed() -> None:
    client = ScriptedClient(lambda _url, _query: {"items": []})
    with pytest.raises(CursorRejected):
        walked(source_of(LINK), client, WalkState(cursor="https://old.vendor.test/events?after=1"))
    assert client.urls == []


def test_a_relative_next_link_belongs_to_the_page_it_stood_on() -> None:
    def answer(url: str, _query: dict[str, str]) -> Any:
        return {"items": rows([len(url)]), "next": "/events?after=a%2Fb" if "after" not in url else None}

    client = ScriptedClient(answer)
    walked(source_of(NEXT_URL), client)
    assert client.urls[1] == "https://vendor.test/events?after=a%2Fb"


def test_only_the_first_request_of_a_walk_rests_on_the_kept_cursor() -> None:
    client = listing(CURSOR, list(range(250)), cap=100)
    walked(source_of(CURSOR), client, WalkState(cursor="50"))
    assert client.kept == [True, False]


def test_a_secret_in_a_next_link_is_kept_sealed_and_its_repetition_noticed() -> None:
    link = f"{ENDPOINT}?token=hunter22&after=1"
    client = ScriptedClient(lambda _url, _query: ({"items": rows([1])}, [f'<{link}>; rel="next"']))
    client.masker = Masker({"TOKEN": "hunter22"})
    pages = list(walk(source_of(LINK).listing, client_of(client), WalkState()))
    assert all("hunter22" not in json.dumps(str(page.next)) for page in pages)
    assert client.urls[1:] == [link]


def test_a_bad_page_names_source_and_request_and_is_no_end_of_data() -> None:
    def answer(_url: str, query: dict[str, str]) -> Any:
        return b"<html>" if "cursor" in query else {"items": rows([1]), "next": "c"}

    pages = walk(source_of(CURSOR).listing, client_of(ScriptedClient(answer)), WalkState())
    assert next(pages).decoded.digests == list(ids_of([1]))
    with pytest.raises(
        BadAnswer, match=r"^test-source: GET https://vendor.test/events\?.*cursor=c.*: the answer is HTML"
    ):
        next(pages)


def test_a_durable_cursor_is_offered_even_by_the_last_page() -> None:
    paging = CURSOR.model_copy(update={"durable_cursor": True, "has_more_field": "more"})
    client = ScriptedClient(lambda _url, _query: {"items": rows([1]), "next": "later", "more": False})
    (page,) = walk(source_of(paging).listing, client_of(client), WalkState())
    assert (page.next, page.resume_cursor) == (None, "later")


def at(number: int, ms: int) -> dict[str, Any]:
    return {"id": str(number), "time": ms}


@given(st.integers(0, 40), st.integers(1, 7), st.integers(0, 40))
def test_a_listing_newest_first_without_a_time_filter_is_read_down_to_the_span(
    count: int, size: int, start: int
) -> None:
    events = [at(number, NOON_MS + number) for number in reversed(range(count))]

    def answer(_url: str, query: dict[str, str]) -> Any:
        first = int(query.get("cursor", "0"))
        return {"items": events[first : first + size], "next": str(first + size) if first + size < count else None}

    client = ScriptedClient(answer)
    source = spoken(paging=ENDS_AT_START.model_copy(update={"page_size": size}))
    found = set(walked(source, client, WalkState(start_ms=NOON_MS + start)))
    assert found >= ids_of(range(start, count))
    assert len(client.urls) <= max(0, count - start) // size + 2  # nor is it read far beyond


def test_a_listing_that_is_oldest_first_after_all_is_read_to_its_end() -> None:
    def answer(_url: str, query: dict[str, str]) -> Any:
        first = int(query.get("cursor", "0"))
        items = [at(number, NOON_MS + number) for number in range(first, first + 3)]
        return {"items": items, "next": str(first + 3) if first < 6 else None}

    source = spoken(paging=ENDS_AT_START)
    assert set(walked(source, ScriptedClient(answer), WalkState(start_ms=NOON_MS + 7))) == ids_of(range(9))


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(4, 9), st.integers(1, 5))
def test_what_lies_beyond_a_silent_cap_is_asked_for_from_the_newest_event_on(
    gaps: list[int], most: int, size: int
) -> None:
    times = [NOON_MS + 1 + sum(gaps[: number + 1]) for number in range(len(gaps))]
    whole = all(times.count(ms) < most for ms in times)

    def answer(_url: str, query: dict[str, str]) -> Any:
        listed = [at(number, ms) for number, ms in enumerate(times) if ms >= int(query["since"])][:most]
        first = int(query["offset"])
        return {"items": listed[first : first + size]}

    paging = Paging(page_size=size, limit=Place(at="limit"), offset=Place(at="offset"), most=most, short_page_ends=True)
    source = spoken(paging=paging, request=SINCE, time_filter_format="unix_ms")
    pages = list(walk(source.listing, client_of(ScriptedClient(answer)), WalkState(start_ms=NOON_MS)))
    found = {digest for page in pages for digest in page.decoded.digests}
    assert found == ids_of(range(len(times))) or not whole
    assert whole or pages[-1].unproven is not None or found == ids_of(range(len(times)))


@pytest.mark.parametrize("told", [{"total": 7}, {"total": "7"}, {}, {"total": None}])
def test_a_total_ends_a_walk_and_one_that_is_missing_does_not(told: dict[str, Any]) -> None:
    paging = Paging(page_size=3, limit=Place(at="limit"), offset=Place(at="offset"), total=Origin(at="total"))

    def answer(url: str, query: dict[str, str]) -> Any:
        start = int(query["offset"])
        return {"items": rows(list(range(7))[start : start + 3]), **told}

    client = ScriptedClient(answer)
    source = a_source(endpoint=ENDPOINT, results_field="items", id_field="id", paging=paging)
    assert set(walked(source, client)) == ids_of(range(7))
    assert len(client.urls) == (3 if told.get("total") else 4)
