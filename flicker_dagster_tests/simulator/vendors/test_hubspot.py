"""The simulated account activity keeps the rules of HubSpot's public specification."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.hubspot import HubSpot
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served

URL = "https://api.hubapi.com/account-info/v3/activity/"
FEEDS = [("audit-logs", "audit_logs"), ("login", "logins"), ("security", "security")]

hubspot = served(HubSpot)


def ask(hubspot: HubSpot, feed: str, *, token: str = "pat-na1-5f0c2d1e", **params: Any) -> requests.Response:
    url = feed if feed.startswith("https") else URL + feed
    return call(hubspot, url, params, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    return [row["id"] for row in answer.json()["results"]]


@pytest.mark.parametrize(("feed", "stream"), FEEDS)
def test_each_feed_is_walked_newest_first_to_a_page_without_paging(hubspot: HubSpot, feed: str, stream: str) -> None:
    events = ids(hubspot.emitters[stream].emit(5))
    first = ask(hubspot, feed, limit=2)
    walked, answer = found(first), first
    while "paging" in answer.json():
        answer = ask(hubspot, feed, limit=2, after=answer.json()["paging"]["next"]["after"])
        walked += found(answer)
    assert walked == events[::-1]
    assert found(ask(hubspot, first.json()["paging"]["next"]["link"])) == events[::-1][2:4]


def test_audit_logs_lie_between_two_times(hubspot: HubSpot, clock: Clock) -> None:
    events = [hubspot.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    span = {"occurredAfter": rfc3339_ms(clock.ago_ms(40)), "occurredBefore": rfc3339_ms(clock.ago_ms(20))}
    assert found(ask(hubspot, "audit-logs", sort="occurredAt", **span)) == [events[1].id]


def test_security_lies_between_two_numbers(hubspot: HubSpot, clock: Clock) -> None:
    events = [hubspot.emitters["security"].emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    span: dict[str, Any] = {"fromTimestamp": clock.ago_ms(40), "toTimestamp": clock.ago_ms(20)}
    assert found(ask(hubspot, "security", **span)) == ids(events[1::-1])


def test_logins_are_kept_90_days(hubspot: HubSpot, clock: Clock) -> None:
    hubspot.emitters["logins"].emit(1)
    clock.move(91 * DAY_S)
    assert found(ask(hubspot, "login")) == []


@pytest.mark.parametrize(
    ("feed", "params"),
    [
        ("audit-logs", {"occurredAfter": "1772442847529"}),
        ("audit-logs", {"occurredAfter": "2026-03-02T00:00:00Z", "occurredBefore": "2026-03-01T00:00:00Z"}),
        ("audit-logs", {"sort": "id"}),
        ("audit-logs", {"limit": 201}),
        ("audit-logs", {"after": "nonsense"}),
        ("audit-logs", {"fromTimestamp": 1772442847529}),
        ("login", {"occurredAfter": "2026-03-02T00:00:00Z"}),
        ("security", {"fromTimestamp": "2026-03-02T00:00:00Z"}),
    ],
)
def test_what_it_does_not_take_is_refused(hubspot: HubSpot, feed: str, params: dict[str, Any]) -> None:
    answer = ask(hubspot, feed, **params)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_credentials_host_quota_and_cursors_of_another_feed(hubspot: HubSpot) -> None:
    assert ask(hubspot, "login", token="bad").status_code == 401
    assert ask(hubspot, "https://api.hubspot.com/account-info/v3/activity/login").status_code == 404
    hubspot.emitter.emit(2)
    answer = ask(hubspot, "audit-logs", limit=1)
    assert int(answer.headers["X-HubSpot-RateLimit-Secondly-Remaining"]) < 19
    cursor = answer.json()["paging"]["next"]["after"]
    assert ask(hubspot, "login", after=cursor).status_code == 400
    hubspot.faults.plan("wrong_host")
    led = ask(hubspot, "audit-logs", limit=1).json()["paging"]["next"]["link"]
    assert led.startswith("http://evil.invalid/account-info/")
    hubspot.per_minute = 0
    refused = ask(hubspot, "login")
    assert (refused.status_code, refused.json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
    assert "Retry-After" not in refused.headers
