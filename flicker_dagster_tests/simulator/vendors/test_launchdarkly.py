"""The simulated audit log keeps the rules of LaunchDarkly's REST API documentation."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.launchdarkly import LaunchDarkly
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served

HOST = "https://app.launchdarkly.com"
TOKEN = LaunchDarkly.params["access_token"]

launchdarkly = served(LaunchDarkly)


def ask(
    launchdarkly: LaunchDarkly, path: str = "/api/v2/auditlog", *, token: str = TOKEN, **params: Any
) -> requests.Response:
    return call(launchdarkly, HOST + path, params, headers={"Authorization": token})


def found(answer: requests.Response) -> list[str]:
    return [item["_id"] for item in answer.json()["items"]]


def test_relative_links_lead_through_entries_of_one_millisecond(launchdarkly: LaunchDarkly) -> None:
    events = ids(launchdarkly.emitter.emit(45))
    answer = ask(launchdarkly, limit=20)
    pages = [found(answer)]
    while "next" in answer.json()["_links"]:
        path = answer.json()["_links"]["next"]["href"]
        assert path.startswith("/api/v2/auditlog?limit=20")
        answer = ask(launchdarkly, path)
        pages.append(found(answer))
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [entry for page in pages for entry in page] == events[::-1]


def test_both_bounds_are_exclusive(launchdarkly: LaunchDarkly, clock: Clock) -> None:
    events = [launchdarkly.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    assert found(ask(launchdarkly, after=clock.ago_ms(40), before=clock.ago_ms(20))) == [events[1].id]


def test_a_detail_is_fetched_by_its_id_and_counted(launchdarkly: LaunchDarkly) -> None:
    (event,) = launchdarkly.emitter.emit(1)
    (item,) = ask(launchdarkly).json()["items"]
    detail = ask(launchdarkly, item["_links"]["self"]["href"]).json()
    assert (detail["_id"], detail["currentVersion"], "delta" in item) == (event.id, {"on": True}, False)
    assert launchdarkly.fetched == {event.id: 1}
    assert ask(launchdarkly, f"/api/v2/auditlog/{'0' * 24}").status_code == 404


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 21},
        {"limit": 0},
        {"after": "2026-03-02T00:00:00Z"},
        {"after": 1_772_442_847},
        {"after": 1_772_442_847_000, "before": 1_772_442_847_000},
        {"cursor": "nonsense"},
        {"since": 1_772_442_847_000},
    ],
)
def test_what_it_does_not_take_is_refused(launchdarkly: LaunchDarkly, params: dict[str, Any]) -> None:
    answer = ask(launchdarkly, **params)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_credentials_quota_and_links_elsewhere(launchdarkly: LaunchDarkly) -> None:
    assert ask(launchdarkly, token=f"Bearer {TOKEN}").status_code == 401
    assert (
        call(launchdarkly, "https://app.example.com/api/v2/auditlog", headers={"Authorization": TOKEN}).status_code
        == 404
    )
    launchdarkly.faults.plan("429", seconds=1.5)
    refused = ask(launchdarkly)
    assert (refused.status_code, refused.headers["X-Ratelimit-Reset"]) == (
        429,
        str(int(launchdarkly.clock() * 1000) + 1500),
    )
    launchdarkly.emitter.emit(2)
    launchdarkly.faults.plan("wrong_host")
    assert (
        ask(launchdarkly, limit=1).json()["_links"]["next"]["href"].startswith("http://evil.invalid/api/v2/auditlog?")
    )
