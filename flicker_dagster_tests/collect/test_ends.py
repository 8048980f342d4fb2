"""A walk's end is the end of the data, or it is said that it may not be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.walk import walk
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vocabulary import Origin, Paging, Place
from flicker_dagster.types import Page, WalkState
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.vendors import ENDPOINT, ScriptedClient, client_of, rows

CURSOR = Pagination(pagination_type="cursor", cursor_param="cursor", next_cursor_field="next")
LINK = Pagination(pagination_type="link_header")
NEXT_URL = Pagination(pagination_type="next_url", next_url_field="next")
NAMED = [CURSOR, LINK, NEXT_URL]


def source_of(paging: Pagination, **changes: Any) -> SourceConfig:
    return a_source(
        endpoint=ENDPOINT, results_field="items", pagination=paging.model_copy(update={"page_size": 10} | changes)
    )


def last_page(source: SourceConfig, client: ScriptedClient, *, seen_before: bool = False) -> Page:
    return [*walk(source.listing, client_of(client), WalkState(), seen_before=lambda: seen_before)][-1]


def listing(
    count: int, *, cap: int = 10, kind: str = "cursor", field: str = "next", heeds: bool = True
) -> ScriptedClient:
    """A vendor that leaves out what names the next page where there is none. `field` is what it calls it."""

    def answer(_url: str, query: dict[str, str]) -> Any:
        limit = min(int(query.get("limit", cap)), cap) if heeds else cap
        start = int(query.get("cursor", "0"))
        body: dict[str, Any] = {"items": rows(list(range(start, min(start + limit, count))))}
        following = f"{ENDPOINT}?cursor={start + limit}"
        if start + limit < count:
            if kind == "link_header":
                return body, [f'<{following}>; rel="{field}"']
            body[field] = following if kind == "next_url" else str(start + limit)
        return body

    return ScriptedClient(answer)


@pytest.mark.parametrize("paging", NAMED)
def test_a_full_page_without_what_no_answer_has_held_may_not_be_the_end(paging: Pagination) -> None:
    client = listing(25, kind=paging.pagination_type, field="something")
    page = last_page(source_of(paging), client)
    assert page.unproven is not None
    assert "10 events (page_size 10)" in page.unproven
    assert "next" in page.unproven


@pytest.mark.parametrize("paging", NAMED)
def test_a_page_that_is_not_full_is_the_end(paging: Pagination) -> None:
    for count in (0, 1, 9):
        assert last_page(source_of(paging), listing(count, kind=paging.pagination_type)).unproven is None


@pytest.mark.parametrize("paging", NAMED)
def test_a_vendor_that_has_named_next_pages_may_leave_it_out_at_the_end(paging: Pagination) -> None:
    """The last page is exactly full: of this walk another had it, or an earlier walk."""
    assert last_page(source_of(paging), listing(30, kind=paging.pagination_type)).unproven is None
    exact = listing(10, kind=paging.pagination_type)
    assert last_page(source_of(paging), exact, seen_before=True).unproven is None


@pytest.mark.parametrize("paging", NAMED)
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_vendor_that_heeds_the_page_size_is_asked_for_less(paging: Pagination, count: int) -> None:
    """Exactly full, never seen before, and the end all the same: asked for one event less it names a next page."""
    client = listing(count, kind=paging.pagination_type)
    page = last_page(source_of(paging, limit_param="limit", page_size=count), client)
    assert page.unproven is None
    assert page.names_paging == (count > 1)
    assert len(client.urls) == 2


@pytest.mark.parametrize("heeds", [True, False])
def test_one_that_names_none_even_then_may_have_more(heeds: bool) -> None:
    client = listing(25, field="something", heeds=heeds)
    page = last_page(source_of(CURSOR, limit_param="limit"), client)
    assert page.unproven is not None
    assert not page.names_paging


@pytest.mark.parametrize(("count", "proven"), [(9, True), (10, False), (25, False)])
def test_as_many_as_were_asked_for_where_nothing_leads_on_may_not_be_all(count: int, proven: bool) -> None:
    source = a_source(endpoint=ENDPOINT, results_field="items", paging=Paging(page_size=10, limit=Place(at="limit")))
    page = last_page(source, listing(count))
    assert (page.unproven is None) == proven
    if not proven:
        assert "10 events, as many as paging.limit asks for" in (page.unproven or "")


@pytest.mark.parametrize("end", [None, "", False])
def test_a_full_page_that_says_that_nothing_follows_is_the_end(end: Any) -> None:
    client = ScriptedClient(lambda _url, _query: {"items": rows(list(range(10))), "next": end})
    assert last_page(source_of(CURSOR), client).unproven is None


def test_has_more_false_is_the_end_and_its_absence_is_none() -> None:
    source = source_of(CURSOR, has_more_field="more")
    for more, proven in (({"more": False}, True), ({}, False)):
        client = ScriptedClient(lambda _url, _query, more=more: {"items": rows(list(range(10)))} | more)
        assert (last_page(source, client).unproven is None) == proven


def test_a_misspelt_has_more_does_not_hide_the_cursor() -> None:
    source = source_of(CURSOR, has_more_field="hasMore")
    pages = [*walk(source.listing, client_of(listing(25)), WalkState())]
    assert sum(len(page.decoded) for page in pages) == 25


@pytest.mark.parametrize("name", ["next_cursor", "NextCursor", "next-cursor", "nextCursors"])
def test_a_slip_of_the_pen_is_found_on_a_page_that_is_not_full(name: str) -> None:
    """The vendor caps its pages below what is asked for, so that fullness tells nothing."""
    source = source_of(CURSOR, next_cursor_field="meta.nextCursor", page_size=1000)
    body = {"items": rows([1, 2]), "meta": {name: "abc"}}
    page = last_page(source, ScriptedClient(lambda _url, _query: body))
    assert page.unproven is not None
    assert f"it has {name!r}" in page.unproven
    at_the_end = {"items": rows([1, 2]), "meta": {name: None}}
    assert last_page(source, ScriptedClient(lambda _url, _query: at_the_end)).unproven is None


def test_another_relation_than_the_configured_one_is_found() -> None:
    client = ScriptedClient(lambda _url, _query: ({"items": rows([1])}, [f'<{ENDPOINT}?c=1>; rel="next"']))
    assert "'next'" in (last_page(source_of(LINK, link_rel="nxt"), client).unproven or "")
    newer = ScriptedClient(lambda _url, _query: ({"items": rows([1])}, [f'<{ENDPOINT}?c=1>; rel="prev"']))
    assert last_page(source_of(LINK), newer).unproven is None


@pytest.mark.parametrize("paging", [CURSOR, Pagination(pagination_type="page", page_param="page")])
def test_full_pages_that_come_again_are_no_end(paging: Pagination) -> None:
    """The vendor does not know the parameter that asks for the next page."""
    body = {"items": rows(list(range(10))), "next": "c1"}
    page = last_page(source_of(paging), ScriptedClient(lambda _url, _query: body))
    assert page.unproven is not None
    assert "there may be more" in page.unproven


def test_a_page_that_comes_again_is_no_end_while_the_vendor_says_that_there_is_more() -> None:
    """However many events it holds."""
    body = {"items": rows(list(range(15))), "next": "c1", "has_more": True}
    page = last_page(source_of(CURSOR, has_more_field="has_more"), ScriptedClient(lambda _url, _query: body))
    assert "has_more says that there is more" in (page.unproven or "")


@pytest.mark.fuzz
@given(
    st.sampled_from(NAMED),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(2, 12),
    st.booleans(),
    st.sampled_from(["limit", None]),
    st.booleans(),
)
def test_nothing_is_taken_for_the_end_while_there_is_more(
    paging: Pagination, count: int, page_size: int, cap: int, misspelt: bool, limit_param: str | None, heeds: bool
) -> None:
    """Where the vendor's pages are as large as configured, a walk that ends early says so; and an honest vendor that
    heeds the page size is never suspected."""
    heeds = heeds and limit_param is not None
    if not heeds:  # no vendor gives one event a page whatever it is asked for
        page_size = cap
    kind = paging.pagination_type
    client = listing(count, cap=max(cap, page_size), kind=kind, field="other" if misspelt else "next", heeds=heeds)
    source = source_of(paging, page_size=page_size, limit_param=limit_param)
    pages = [*walk(source.listing, client_of(client), WalkState())]
    read = sum(len(page.decoded) for page in pages)
    assert read == count or pages[-1].unproven is not None
    if not misspelt and heeds:
        assert pages[-1].unproven is None


@pytest.mark.parametrize(("length", "proven"), [(1, True), (2, False), (5, False)])
def test_cursors_in_a_circle_prove_nothing(length: int, proven: bool) -> None:
    """The same cursor again is how some vendors say that nothing follows; a page of before that is named as the next one
    leads back, and what lies behind was never read. None of the pages is full."""
    asked = 0

    def answer(_url: str, _query: Any) -> Any:
        nonlocal asked
        asked += 1
        return {"items": rows([asked]), "next": f"c{asked % length}"}

    assert (last_page(source_of(CURSOR), ScriptedClient(answer)).unproven is None) == proven


@pytest.mark.parametrize(
    ("line", "proven"),
    [
        (f'<{ENDPOINT}?cursor=1>; rel="next"; results="false"; cursor="1"', True),
        (f'<{ENDPOINT}?cursor=1>; rel="next"; result="true"', False),
        (f'<{ENDPOINT}?cursor=1>; rel="previous"; results="false"', False),
    ],
)
def test_a_next_link_that_says_it_leads_to_nothing_proves_the_end(line: str, proven: bool) -> None:
    paging = Paging(page_size=10, following=Origin(of="link", at="next; results=true", gives="url"))
    source = a_source(endpoint=ENDPOINT, results_field="items", paging=paging)
    client = ScriptedClient(lambda _url, _query: ({"items": rows(list(range(10)))}, [line]))
    assert (last_page(source, client).unproven is None) is proven
    assert len(client.urls) == 1
