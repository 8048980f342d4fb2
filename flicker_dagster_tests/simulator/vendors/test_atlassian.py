"""The simulated events stream keeps the rules of Atlassian's organizations API."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.atlassian import Atlassian
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = f"https://api.atlassian.com/admin/v1/orgs/{Atlassian.params['org_id']}/events-stream"
KEY = Atlassian.params["api_key"]

atlassian = served(Atlassian)


def ask(atlassian: Atlassian, url: str = URL, key: str = KEY, **query: Any) -> requests.Response:
    return call(atlassian, url, query, headers=bearer(key))


def walk(atlassian: Atlassian, **query: Any) -> list[list[str]]:
    def following(answer: Any) -> Any:
        return ask(atlassian, answer["links"]["next"]).json() if answer["links"] else None

    return [[row["id"] for row in answer["data"]] for answer in walked(ask(atlassian, **query).json(), following)]


def test_events_come_in_the_order_of_their_processing(atlassian: Atlassian, clock: Clock) -> None:
    (first,) = atlassian.emitter.emit(1, at_ms=clock.ago_ms(30))
    late = atlassian.emitter.emit(2, at_ms=clock.ago_ms(3600), visible_ms=clock.now_ms + 5_000)
    clock.move(10)
    second = atlassian.emitter.emit(2)
    assert [*chain(*walk(atlassian, limit=2))] == ids([first, *late, *second])
    assert [*chain(*walk(atlassian, limit=2, sortOrder="desc"))] == ids([first, *late, *second])[::-1]
    since = clock.ago_ms(5)
    assert [*chain(*walk(atlassian, **{"from": since}))] == ids([*late, *second])
    assert [*chain(*walk(atlassian, **{"from": since, "to": since}))] == ids(late)


def test_the_last_page_names_no_next_one(atlassian: Atlassian) -> None:
    atlassian.emitter.emit(2)
    answer = ask(atlassian).json()
    assert (answer["links"], answer["meta"]["next"], len(answer["data"])) == ({}, None, 2)


def test_the_last_page_may_hold_a_cursor_to_poll_with(clock: Clock) -> None:
    with serving(Atlassian(polling_cursor=True, processed_at=True, clock=clock)) as atlassian:
        atlassian.emitter.emit(2)
        cursor = ask(atlassian).json()["meta"]["next"]
        assert ask(atlassian, cursor=cursor).json()["data"] == []
        (event,) = atlassian.emitter.emit(1)
        (row,) = ask(atlassian, cursor=cursor).json()["data"]
        assert row["id"] == event.id
        assert row["attributes"]["processedAt"].startswith("2026-03-02T09:0")


def test_times_have_a_fraction_or_none(atlassian: Atlassian) -> None:
    atlassian.emitter.emit(40)
    times = [row["attributes"]["time"] for row in ask(atlassian).json()["data"]]
    assert {len(time) for time in times} == {len("2026-03-02T09:00:00Z"), len("2026-03-02T09:00:00.000Z")}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "201"}, {"limit": "0"}, {"since": "1"}, {"from": "2026-03-01T00:00:00Z"}, {"from": "1772442847"},
        {"from": "1772442847000", "to": "1772442846000"}, {"cursor": "x"}, {"sortOrder": "up"},
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused(atlassian: Atlassian, query: dict[str, str]) -> None:
    answer = ask(atlassian, **query)
    assert (answer.status_code, answer.json()["errors"][0]["status"]) == (400, "400")


def test_a_cursor_expires(atlassian: Atlassian) -> None:
    atlassian.emitter.emit(2)
    cursor = ask(atlassian, limit=1).json()["meta"]["next"]
    atlassian.faults.plan("expired")
    assert ask(atlassian, cursor=cursor).status_code == 400


def test_keys_and_organizations(atlassian: Atlassian) -> None:
    assert ask(atlassian, key="wrong").status_code == 401
    assert ask(atlassian, URL.replace(Atlassian.params["org_id"], "other")).status_code == 403
    assert ask(atlassian, URL.removesuffix("-stream")).status_code == 404


def test_the_quota_says_its_end_to_the_minute_and_nothing_else(clock: Clock) -> None:
    clock.move(7)
    with serving(Atlassian(per_minute=1, clock=clock)) as atlassian:
        assert ask(atlassian).headers["X-RateLimit-Remaining"] == "0"
        answer = ask(atlassian)
        assert (answer.status_code, answer.headers["X-RateLimit-Reset"]) == (429, "2026-03-02T09:01Z")
        assert "Retry-After" not in answer.headers
