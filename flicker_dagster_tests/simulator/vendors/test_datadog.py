"""The simulated audit events keep the rules of Datadog's client and its recorded answers."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.datadog import Datadog
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

SEARCH = "https://api.datadoghq.com/api/v2/audit/events/search"
LIST = "https://api.datadoghq.com/api/v2/audit/events"
KEYS = {"DD-API-KEY": Datadog.params["api_key"], "DD-APPLICATION-KEY": Datadog.params["application_key"]}
SPAN = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-02T23:00:00Z"}

datadog = served(Datadog)


def ask(
    datadog: Datadog, cursor: str | None = None, limit: Any = 2, keys: Any = KEYS, **body: Any
) -> requests.Response:
    page = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
    asked = {"filter": SPAN, "page": page, "sort": "timestamp", "options": {"timezone": "UTC"}} | body
    return call(datadog, SEARCH, method="POST", json=asked, headers=keys)


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def after(answer: requests.Response) -> str:
    return answer.json()["meta"]["page"]["after"]


@pytest.mark.parametrize("sort", ["timestamp", "-timestamp"])
def test_every_page_with_events_names_a_next_one_and_the_end_is_empty_without_meta(datadog: Datadog, sort: str) -> None:
    events = ids(datadog.emitter.emit(4))
    first = ask(datadog, sort=sort)
    second = ask(datadog, after(first), sort=sort)
    assert found(first) + found(second) == (events if sort == "timestamp" else events[::-1])
    assert ask(datadog, after(second), sort=sort).json() == {"data": []}


def test_an_empty_page_may_name_a_next_one(datadog: Datadog) -> None:
    events = ids(datadog.emitter.emit(2))
    datadog.faults.plan("empty")
    answer = ask(datadog)
    assert found(answer) == []
    assert found(ask(datadog, after(answer))) == events


def test_the_same_by_get_and_its_link_leads_on(datadog: Datadog, clock: Clock) -> None:
    events = ids(datadog.emitter.emit(3))
    query = {"filter[from]": "now-1h", "filter[to]": "now", "page[limit]": 2, "sort": "timestamp"}
    datadog.emitter.emit(1, at_ms=clock.ago_ms(7200))
    clock.move(1)
    answer = call(datadog, LIST, query, headers=KEYS)
    assert found(answer) == events[:2]
    link = answer.json()["links"]["next"]
    assert link.startswith(f"{LIST}?")
    assert found(call(datadog, link, headers=KEYS)) == events[2:]
    datadog.faults.plan("wrong_host")
    assert call(datadog, LIST, query, headers=KEYS).json()["links"]["next"].startswith("http://evil.invalid/")


def test_a_cursor_belongs_to_its_filter_and_sort_and_may_be_over(datadog: Datadog) -> None:
    datadog.emitter.emit(3)
    cursor = after(ask(datadog))
    assert ask(datadog, cursor, sort="-timestamp").status_code == 400
    assert ask(datadog, cursor, filter=SPAN | {"to": "2026-03-02T22:00:00Z"}).status_code == 400
    datadog.faults.plan("expired")
    assert ask(datadog, cursor).status_code == 400
    assert ask(datadog, cursor).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": {"from": "2026-03-02", "to": "now"}},
        {"filter": {"from": "now", "to": "now-1h"}},
        {"filter": SPAN | {"since": "now"}},
        {"limit": 1001},
        {"limit": 0},
        {"sort": "id"},
        {"query": "*"},
        {"cursor": "abc"},
        {"cursor": 5},
        {"page": "x"},
    ],
)
def test_a_wrong_question_is_refused(datadog: Datadog, wrong: dict[str, Any]) -> None:
    answer = ask(datadog, **wrong)
    assert (answer.status_code, list(answer.json())) == (400, ["errors"])


def test_both_keys_are_needed_and_json_is(datadog: Datadog) -> None:
    for name in KEYS:
        assert ask(datadog, keys=KEYS | {name: "bad"}).json() == {"errors": ["Forbidden"]}
    assert call(datadog, SEARCH, method="POST", data=b"{}", headers=KEYS).status_code == 400
    assert (
        call(datadog, SEARCH.replace("datadoghq.com", "datadoghq.eu"), method="POST", headers=KEYS).status_code == 404
    )


def test_what_is_older_than_90_days_is_gone(datadog: Datadog, clock: Clock) -> None:
    datadog.emitter.emit(1, at_ms=clock.ago_ms(91 * DAY_S))
    assert found(ask(datadog, filter={"from": "2025-01-01T00:00:00Z", "to": "now"})) == []


def test_a_used_up_quota_tells_the_seconds_to_wait(clock: Clock) -> None:
    with serving(Datadog(clock=clock, per_minute=1)) as datadog:
        assert ask(datadog).headers["X-RateLimit-Remaining"] == "0"
        answer = ask(datadog)
        assert (answer.status_code, answer.headers["X-RateLimit-Reset"]) == (429, "60")
        assert "Retry-After" not in answer.headers
