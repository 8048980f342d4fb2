"""Sets that are walked over, and objects that are listed and fetched, of vendors that are careless or hostile."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.collect.walk import walk
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer, CollectError
from flicker_dagster.types import Page, WalkState
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.vendors import ENDPOINT, ScriptedClient, client_of

LINKED = {"cursor": {"at": "cursor"}, "limit": {"at": "limit"}, "following": {"at": "next"}, "page_size": 2}


def over(paging: dict[str, Any] | None = None, **changes: Any) -> SourceConfig:
    return a_source(
        endpoint=f"{ENDPOINT}/{{member}}",
        results_field="items",
        over={"url": "/groups", "results_field": "groups", "paging": LINKED if paging is None else paging},
        **changes,
    )


def each(**changes: Any) -> SourceConfig:
    return a_source(
        **{
            "endpoint": ENDPOINT,
            "results_field": "items",
            "each": {"objects": "objects", "id": "id", "url": "/objects/{object.id}", "results_field": "items"},
            **changes,
        }
    )


def walked(source: SourceConfig, client: ScriptedClient, state: WalkState | None = None) -> list[Page]:
    client.endpoint = source.endpoint
    return list(walk(source.listing, client_of(client), state or WalkState()))


def asked_members(client: ScriptedClient) -> list[str]:
    return [url.partition("?")[0].rpartition("/")[2] for url in client.urls if "/events/" in url]


# -- sets


def test_every_page_of_a_set_is_asked_for_where_the_set_is() -> None:
    def answer(url: str, query: dict[str, str]) -> Any:
        if "/groups" not in url:
            return {"items": []}
        if "cursor" in query:
            return {"groups": [{"id": "c"}], "next": None}
        return {"groups": [{"id": "a"}, {"id": "b"}], "next": "two"}

    client = ScriptedClient(answer)
    walked(over(), client)
    assert asked_members(client) == ["a", "b", "c"]


@pytest.mark.parametrize("same", [True, False])
def test_a_set_that_goes_round_in_circles_is_no_set(same: bool) -> None:
    def answer(url: str, query: dict[str, str]) -> Any:
        at = query.get("cursor", "0")
        return {"groups": [{"id": "a"}, {"id": "b"}], "next": "1" if same else str((int(at) + 1) % 3)}

    with pytest.raises(BadAnswer, match="may be more"):
        walked(over(), ScriptedClient(answer))


def test_a_full_page_of_a_set_that_names_no_next_one_is_no_set() -> None:
    with pytest.raises(BadAnswer, match="may be more"):
        walked(over(), ScriptedClient(lambda url, query: {"groups": [{"id": "a"}, {"id": "b"}], "nextt": "x"}))


@pytest.mark.parametrize("group", [{"ID": "a"}, {"id": None}, {"id": ""}, None, {"id": {"x": 1}}])
def test_a_member_without_an_id_is_told(group: Any) -> None:
    with pytest.raises(BadAnswer, match=r"over\.id"):
        walked(over(), ScriptedClient(lambda url, query: {"groups": [group], "next": None, "items": []}))


# -- objects


@pytest.mark.parametrize(
    "answer", [{"objectz": []}, {"error": "no"}, {"objects": [], "error": "too much"}, [], "text", {}]
)
def test_a_listing_of_objects_that_is_none_proves_nothing(answer: Any) -> None:
    with pytest.raises(BadAnswer):
        walked(each(), ScriptedClient(lambda url, query: answer))


def test_a_listing_of_objects_may_be_missing_where_the_source_says_so() -> None:
    assert len(walked(each(results_optional=True), ScriptedClient(lambda url, query: {}))) == 1


def test_an_error_field_beside_objects_is_an_error() -> None:
    answer = {"objects": [{"id": "a"}], "failure": "partial", "items": []}
    with pytest.raises(BadAnswer, match="partial"):
        walked(each(error_field="failure"), ScriptedClient(lambda url, query: answer))


@pytest.mark.parametrize("listed", [{"ID": "a"}, {"id": None}, {"id": ""}, None, 7.5, {"id": []}])
def test_an_object_without_an_id_is_told_and_nothing_else_is_fetched_in_its_place(listed: Any) -> None:
    client = ScriptedClient(lambda url, query: {"objects": [listed], "items": []})
    with pytest.raises(CollectError, match=r"each\.id"):
        walked(each(), client)
    assert len(client.urls) == 1


def test_an_address_that_lacks_what_it_is_made_of_is_not_asked() -> None:
    keys = {"objects": "objects", "id": "id", "url": "{object.contentUri}", "results_field": "objects"}
    client = ScriptedClient(lambda url, query: {"objects": [{"id": "a"}]})
    with pytest.raises(CollectError, match=r"object\.contentUri"):
        walked(each(each=keys), client)
    assert len(client.urls) == 1


def test_an_object_is_fetched_from_the_endpoints_own_origin() -> None:
    for uri in (
        "https://evil.test/x",
        "//evil.test/x",
        "http://vendor.test/x",
        "https://u:p@vendor.test/x",
        "file:///x",
    ):
        keys = {"objects": "objects", "id": "id", "url": "{object.uri}"}
        client = ScriptedClient(lambda url, query, uri=uri: {"objects": [{"id": "a", "uri": uri}]})  # type: ignore[misc]
        with pytest.raises(CollectError):
            walked(each(each=keys), client)
        assert len(client.urls) == 1


# -- equal rows


def test_equal_rows_of_two_objects_are_two_events_whichever_is_fetched() -> None:
    def digests(*objects: str) -> dict[str, list[bytes]]:
        def answer(url: str, query: dict[str, str]) -> Any:
            return {"objects": [{"id": name} for name in objects], "items": [{"a": 1}, {"a": 1}]}

        source = each(equal_rows="distinct", id_field=None)
        pages = [page for page in walked(source, ScriptedClient(answer)) if page.object]
        return {name: page.decoded.digests for name, page in zip(objects, pages)}

    both = digests("a", "b")
    assert len({*both["a"], *both["b"]}) == 4
    assert digests("b")["b"] == both["b"]


def test_equal_rows_of_two_members_are_two_events() -> None:
    source = a_source(
        endpoint=f"{ENDPOINT}/{{member}}",
        results_field="items",
        id_field=None,
        equal_rows="distinct",
        over={"members": ["a", "b"]},
    )
    pages = walked(source, ScriptedClient(lambda url, query: {"items": [{"a": 1}]}))
    assert len({digest for page in pages for digest in page.decoded.digests}) == 2
