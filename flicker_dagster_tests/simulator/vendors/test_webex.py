"""The simulated audit events keep the rules of https://developer.webex.com/docs/api/v1/admin-audit-events."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.webex import ORG_ID, Webex
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

ADMIN = "https://webexapis.com/v1/adminAudit/events"
SECURITY = "https://webexapis.com/v1/admin/securityAudit/events"

webex = served(Webex)


def token(webex: Webex, refresh_token: str = "", **form: str) -> requests.Response:
    sent = {"grant_type": "refresh_token", "refresh_token": refresh_token or webex.refresh_token}
    sent |= {name: webex.params[name] for name in ("client_id", "client_secret")} | form
    return call(webex, "https://webexapis.com/v1/access_token", method="POST", data=sent)


def ask(webex: Webex, url: str = ADMIN, bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(webex).json()["access_token"]
    return call(webex, url, query, headers={"Authorization": f"Bearer {bearer}"})


def span(clock: Clock, url: str = ADMIN, ago_s: float = 60) -> dict[str, str]:
    start, end = ("from", "to") if url == ADMIN else ("startTime", "endTime")
    return {"orgId": ORG_ID, start: rfc3339_ms(clock.ago_ms(ago_s)), end: rfc3339_ms(clock.now_ms)}


@pytest.mark.parametrize(("url", "stream"), [(ADMIN, "admin_audit"), (SECURITY, "security_audit")])
def test_pages_are_linked_by_offset_and_rows_move(webex: Webex, clock: Clock, url: str, stream: str) -> None:
    events = webex.emitters[stream].emit(5)
    first = ask(webex, url, **span(clock, url), max=2)
    assert [event["id"] for event in first.json()["items"]] == ids([events[4], events[3]])
    webex.emitters[stream].emit(1)
    second = ask(webex, first.links["next"]["url"])
    assert [event["id"] for event in second.json()["items"]] == ids([events[3], events[2]])
    last = ask(webex, second.links["next"]["url"])
    assert "next" not in last.links


def test_both_bounds_are_inclusive_and_the_order_may_be_the_other_one(clock: Clock) -> None:
    with serving(Webex(clock=clock, newest_first=False)) as webex:
        events = [webex.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (60, 30, 0)]
        assert [event["id"] for event in ask(webex, **span(clock)).json()["items"]] == ids(events)


@pytest.mark.parametrize(
    "query",
    [
        {"orgId": "another"},
        {"from": "2026-03-02T08:00:00Z"},
        {"from": "2027-03-02T08:00:00.000Z"},
        {"from": "2024-03-02T08:00:00.000Z"},
        {"max": 201},
        {"offset": -1},
        {"limit": 10},
    ],
)
def test_what_cannot_be_asked_is_refused(webex: Webex, clock: Clock, query: dict[str, Any]) -> None:
    answer = ask(webex, **(span(clock) | query))
    assert (answer.status_code, "trackingId" in answer.json()) == (400, True)


def test_a_refresh_token_lasts_until_the_one_after_it_is_used(webex: Webex) -> None:
    first = webex.params["refresh_token"]
    second = token(webex, first).json()["refresh_token"]
    assert token(webex, first).json()["refresh_token"] == second  # an answer may be lost
    third = token(webex, second).json()["refresh_token"]
    assert len({first, second, third}) == 3
    assert token(webex, first).json()["error"] == "invalid_grant"
    assert token(webex, third, client_secret="wrong").json()["error"] == "invalid_client"
    assert token(webex, third, grant_type="client_credentials").json()["error"] == "unsupported_grant_type"


def test_access_tokens_last_a_fortnight_and_the_quota_tells_how_long(clock: Clock) -> None:
    with serving(Webex(clock=clock, rotates=False, per_minute=1)) as webex:
        answer = token(webex).json()
        assert answer["refresh_token"] == webex.params["refresh_token"]
        assert ask(webex, bearer=answer["access_token"], **span(clock)).status_code == 200
        assert ask(webex, bearer=answer["access_token"], **span(clock)).headers["Retry-After"] == "60"
        clock.move(14 * DAY_S)
        assert ask(webex, bearer=answer["access_token"], **span(clock)).status_code == 401
