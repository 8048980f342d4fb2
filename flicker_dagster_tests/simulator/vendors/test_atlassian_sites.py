"""The simulated audit logs of Jira, Confluence and Bitbucket Data Center keep the rules of their REST documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.vendors.bitbucket import Bitbucket
from flicker_dagster.simulator.vendors.confluence import Confluence
from flicker_dagster.simulator.vendors.jira import Jira
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import Clock, ids, serving

URLS = {
    Jira: "https://acme.atlassian.net/rest/api/3/auditing/record",
    Confluence: "https://acme.atlassian.net/wiki/rest/api/audit",
    Bitbucket: "https://bitbucket.acme.test/rest/auditing/1.0/events",
}
FIELDS = {Jira: "records", Confluence: "results", Bitbucket: "entities"}


@pytest.fixture(params=list(URLS))
def vendor(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Vendor]:
    with serving(request.param(clock=clock)) as served:
        yield served


def ask(vendor: Vendor, url: str | None = None, token: str | None = None, **query: Any) -> requests.Response:
    basic = (vendor.params.get("email", "ana"), token or vendor.params["token"])
    return call(vendor, url or URLS[type(vendor)], query, auth=basic)


def rows(vendor: Vendor, **query: Any) -> list[str]:
    answer = ask(vendor, **query)
    assert answer.status_code == 200, answer.text
    return [vendor.id_of("", row) for row in answer.json()[FIELDS[type(vendor)]]]


def test_the_newest_come_first_by_offset_until_a_short_page(vendor: Vendor, clock: Clock) -> None:
    events = [vendor.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (20, 10, 10, 0)]
    offset = "start" if isinstance(vendor, Confluence) else "offset"
    pages = [rows(vendor, limit=3, **{offset: start}) for start in (0, 3)]
    assert pages == [ids(events[:0:-1]), ids(events[:1])]


def test_what_is_recorded_meanwhile_shifts_an_offset(vendor: Vendor) -> None:
    events = vendor.emitter.emit(4)
    assert rows(vendor, limit=2) == ids(events[:1:-1])
    vendor.emitter.emit(1)
    offset = "start" if isinstance(vendor, Confluence) else "offset"
    assert rows(vendor, limit=2, **{offset: 2}) == ids(events[2:0:-1])


def test_both_edges_are_inclusive(vendor: Vendor, clock: Clock) -> None:
    events = [vendor.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 20, 10, 0)]
    if isinstance(vendor, Confluence):
        span: dict[str, Any] = {"startDate": clock.ago_ms(20), "endDate": clock.ago_ms(10)}
    else:
        span = {"from": rfc3339_ms(clock.ago_ms(20)), "to": rfc3339_ms(clock.ago_ms(10))}
    assert rows(vendor, **span) == ids(events[2:0:-1])
    assert ask(vendor, **dict(zip(span, reversed(span.values())))).status_code == 400


@pytest.mark.parametrize(
    "query", [{"since": "1"}, {"from": "1772442847"}, {"startDate": "2026-03-01"}, {"limit": "0"}, {"limit": "many"}]
)
def test_a_senseless_question_is_refused(vendor: Vendor, query: dict[str, str]) -> None:
    assert ask(vendor, **query).status_code == 400


def test_credentials_and_paths(vendor: Vendor) -> None:
    assert ask(vendor, token="wrong").status_code == 401
    assert ask(vendor, URLS[type(vendor)] + "/none").status_code == 404
    assert ask(vendor, URLS[type(vendor)].replace("acme", "other")).status_code == 404


@pytest.mark.parametrize("kind", list(URLS))
def test_the_quota_is_refused_with_a_wait(kind: type[Vendor], clock: Clock) -> None:
    with serving(kind(per_minute=1, clock=clock)) as vendor:
        assert ask(vendor).status_code == 200
        answer = ask(vendor)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
        assert answer.headers.get("X-RateLimit-Reset", "2026-03-02T09:01Z") == "2026-03-02T09:01Z"


def test_jira_counts_and_spells_times_without_a_colon(clock: Clock) -> None:
    with serving(Jira(clock=clock)) as jira:
        jira.emitter.emit(3, at_ms=clock.ago_ms(1) + 42)
        answer = ask(jira, limit=2, offset=1).json()
        assert (answer["offset"], answer["limit"], answer["total"]) == (1, 2, 3)
        assert answer["records"][0]["created"] == "2026-03-02T08:59:59.042+0000"


def test_confluence_lowers_the_limit_and_may_link_the_next_page(clock: Clock) -> None:
    with serving(Confluence(largest_page=2, next_links=True, clock=clock)) as confluence:
        confluence.emitter.emit(5)
        answer = ask(confluence, limit=1000).json()
        assert (answer["limit"], answer["size"]) == (2, 2)
        assert answer["_links"]["next"] == "/rest/api/audit?limit=2&start=2"
    with serving(Confluence(largest_page=2, clock=clock)) as confluence:
        confluence.emitter.emit(5)
        assert "next" not in ask(confluence).json()["_links"]


def test_bitbucket_links_the_next_page_by_time_and_number(clock: Clock) -> None:
    with serving(Bitbucket(clock=clock)) as bitbucket:
        events = bitbucket.emitter.emit(5)
        token = bearer(bitbucket.params["token"])

        def following(answer: Any) -> Any:
            paging = answer["pagingInfo"]
            return None if paging["lastPage"] else call(bitbucket, paging["nextPageLink"], headers=token).json()

        answers = list(walked(call(bitbucket, URLS[Bitbucket], {"limit": 2}, headers=token).json(), following))
        assert [bitbucket.id_of("", row) for answer in answers for row in answer["entities"]] == ids(events[::-1])
        assert answers[0]["pagingInfo"]["nextPageCursor"] == f"{clock.now_ms},3"
        assert "nextPageCursor" not in answers[-1]["pagingInfo"]
        assert ask(bitbucket, pageCursor="3").status_code == 400
        bitbucket.faults.plan("wrong_host")
        paging = ask(bitbucket, limit=1).json()["pagingInfo"]
        assert paging["nextPageLink"].startswith("http://evil.invalid/rest/auditing/")
