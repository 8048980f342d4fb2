"""Links of answers, kept links and redirects: only the endpoint's own server is ever spoken to."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.links import links_of
from flicker_dagster.collect.walk import walk
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer, CollectError, CursorRejected, VendorRefused
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.transport import exchange
from flicker_dagster.transport.addresses import MAX_LINK_CHARS
from flicker_dagster.types import Page, WalkState
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.vendors import ScriptedClient, client_of, rows

NEXT_URL = Pagination(pagination_type="next_url", next_url_field="next")
CURSOR = Pagination(pagination_type="cursor", cursor_param="after", next_cursor_field="next")


def source_of(paging: Pagination, **more: Any) -> SourceConfig:
    return a_source(pagination=paging, results_field="items", timestamp_field="time", id_field="id", **more)


def walked(
    source: SourceConfig, client: ScriptedClient, state: WalkState | None = None
) -> tuple[list[Page], Exception | None]:
    pages: list[Page] = []
    try:
        for page in walk(source.listing, client_of(client), state or WalkState()):
            pages.append(page)
    except CollectError as error:
        return pages, error
    return pages, None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "place", ["{other}/x", "//{host}/x", "http://{host}\\@{own}/x", "http://u:p@{own_host}/", "http:x"]
)
def test_a_redirect_that_leads_away_is_not_followed(status: int, place: str) -> None:
    asked: list[Request] = []
    with closing(Server(lambda request: (asked.append(request), Response(200, b"[]"))[1])) as other:
        own_host = ""

        def answer(_request: Request) -> Response:
            host = other.url.removeprefix("http://")
            location = place.format(other=other.url, host=host, own=own_host, own_host=own_host)
            return Response(status, b"", [("Location", location)])

        with closing(Server(answer)) as server, closing(VendorClient(a_source(), env={})) as client:
            own_host = server.url.removeprefix("http://")
            with pytest.raises(VendorRefused, match="redirected, and the address"):
                client.ask(exchange.Request("GET", server.url))
    assert asked == []


@pytest.mark.parametrize(
    "kept", ["https://evil.test/x", "https://evil.test\\@vendor.test/x", "//evil.test", "https:evil.test"]
)
def test_a_kept_link_that_leads_away_is_dropped_and_never_asked_for(kept: str) -> None:
    client = ScriptedClient(lambda _url, _query: {"items": []})
    _, error = walked(source_of(NEXT_URL), client, WalkState(cursor=kept))
    if kept.startswith("//"):  # no link that is kept begins so: it is a text like another
        assert all(url.startswith("https://vendor.test/") for url in client.urls)
    else:
        assert isinstance(error, CursorRejected)
        assert client.urls == []


def test_the_events_of_a_page_whose_next_link_is_refused_are_not_lost() -> None:
    client = ScriptedClient(lambda _url, _query: {"items": rows([1, 2]), "next": "https://evil.test/"})
    pages, error = walked(source_of(NEXT_URL), client)
    assert [len(page.decoded) for page in pages] == [2]
    assert pages[0].next == WalkState()  # a later walk asks for this page again
    assert isinstance(error, VendorRefused)


@pytest.mark.parametrize("paging", [NEXT_URL, CURSOR])
def test_a_cursor_beyond_any_sane_length_is_refused_in_words(paging: Pagination) -> None:
    client = ScriptedClient(lambda _url, _query: {"items": rows([1]), "next": "/" + "x" * MAX_LINK_CHARS})
    _, error = walked(source_of(paging), client)
    assert isinstance(error, BadAnswer | VendorRefused)
    assert "65537 characters long" in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize("value", [{"token": "hunter22secret"}, ["hunter22secret"], True])
def test_a_cursor_that_is_no_text_is_told_without_what_it_holds(value: Any) -> None:
    _, error = walked(source_of(CURSOR), ScriptedClient(lambda _url, _query: {"items": rows([1]), "next": value}))
    assert isinstance(error, BadAnswer)
    assert "hunter22" not in str(error)


# -- Link headers


@pytest.mark.parametrize(
    "line",
    [
        "<" * 60_000,
        "<" * 60_000 + ">",
        "<a>;" * 15_000,
        "<a>" + " " * 60_000,
        "<a>;x" + " " * 60_000 + "=",
        '<a>;x="' * 8_000,
        "<a>;" + "x" * 60_000,
        '<a>;rel="' + "next " * 10_000,
        "<a>;;" * 12_000,
        '<a>; x="<b>; y=' * 4_000,
    ],
    ids=range(10),
)
def test_a_link_header_is_read_in_linear_time(line: str) -> None:
    began_s = time.process_time()
    links_of([line] * 3)
    assert time.process_time() - began_s < 1


@pytest.mark.fuzz
@given(
    st.lists(
        st.one_of(st.sampled_from(["<", ">", "/n", ";", "rel", "=", '"', "next", " ", ","]), st.text(max_size=2))
    ).map("".join)
)
def test_any_link_header_can_be_read(line: str) -> None:
    assert all(isinstance(url, str) for url in links_of([line]).values())
