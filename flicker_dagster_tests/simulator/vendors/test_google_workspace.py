"""The simulated Reports API keeps the rules of https://developers.google.com/admin-sdk/reports/reference/rest/v1/activities/list."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
import requests

from flicker_dagster.simulator.grants import JWT_BEARER
from flicker_dagster.simulator.vendors.google_workspace import ADMIN, SCOPE, GoogleWorkspace
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://admin.googleapis.com/admin/reports/v1/activity/users/all/applications/"
TOKEN_URL = "https://oauth2.googleapis.com/token"

google = served(GoogleWorkspace)


def token(google: GoogleWorkspace, *, grant: str = JWT_BEARER, **claims: Any) -> requests.Response:
    key, now_s = json.loads(google.params["service_account_key"]), int(google.clock())
    said = {"iss": key["client_email"], "scope": SCOPE, "aud": key["token_uri"], "iat": now_s, "exp": now_s + 3600}
    said |= {"sub": ADMIN} | claims
    said = {name: value for name, value in said.items() if value is not None}
    assertion = jwt.encode(said, key["private_key"], algorithm="RS256", headers={"kid": key["private_key_id"]})
    return call(google, TOKEN_URL, method="POST", data={"grant_type": grant, "assertion": assertion})


def ask(
    google: GoogleWorkspace, application: str = "login", bearer: str | None = None, **query: Any
) -> requests.Response:
    bearer = bearer or token(google).json()["access_token"]
    return call(google, URL + application, query, headers={"Authorization": f"Bearer {bearer}"})


def walked(google: GoogleWorkspace, application: str = "login", **query: Any) -> list[list[dict[str, Any]]]:
    pages, following = [], {}
    while True:
        answer = ask(google, application, **query, **following)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json().get("items", []))
        if "nextPageToken" not in answer.json():
            return pages
        following = {"pageToken": answer.json()["nextPageToken"]}


def delivered(pages: list[list[dict[str, Any]]]) -> list[str]:
    """Ids of the single events, in the order of their activities."""
    found = []
    for activity in (activity for page in pages for activity in page):
        head = {name: value for name, value in activity.items() if name != "events"}
        events = [head | {"event": each, "eventIndex": index} for index, each in enumerate(activity["events"])]
        found += [GoogleWorkspace.id_of("login", event) for event in events]
    return found


def reason(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_each_sub_event_is_an_event_of_its_own_and_activities_come_newest_first(
    google: GoogleWorkspace, clock: Clock
) -> None:
    events = [event for _ in range(15) for event in google.emitter.emit(2) if clock.move(1) is None]
    pages = walked(google, maxResults=4)
    activities = [activity for page in pages for activity in page]
    assert sorted(delivered(pages)) == sorted(ids(events))
    times = [activity["id"]["time"] for activity in activities]
    assert times == sorted(times, reverse=True)
    assert any(len(activity["events"]) > 1 for activity in activities)
    assert any(activity["id"]["uniqueQualifier"].startswith("-") for activity in activities)
    assert len(pages[0]) == 4


def test_what_is_made_later_joins_no_activity_that_was_listed(google: GoogleWorkspace) -> None:
    met: dict[str, int] = {}
    for _ in range(20):
        google.emitter.emit(1)
        for activity in walked(google)[0]:
            length = met.setdefault(activity["id"]["uniqueQualifier"], len(activity["events"]))
            assert length == len(activity["events"])
    assert sum(met.values()) == 20


def test_late_events_are_listed_where_they_belong(google: GoogleWorkspace, clock: Clock) -> None:
    (late,) = google.emitters["token"].emit(1, at_ms=clock.ago_ms(300), visible_ms=clock.now_ms + 10_000)
    (early,) = google.emitters["token"].emit(1)
    assert delivered(walked(google, "token")) == [early.id]
    clock.move(10)
    assert delivered(walked(google, "token")) == [early.id, late.id]


def test_both_bounds_are_inclusive_and_items_is_absent_from_an_empty_answer(
    google: GoogleWorkspace, clock: Clock
) -> None:
    (event,) = google.emitter.emit(1, at_ms=clock.ago_ms(60))
    at, before, after = (rfc3339_ms(clock.ago_ms(60) + shift) for shift in (0, -1, 1))
    assert delivered(walked(google, startTime=at)) == [event.id]
    assert delivered(walked(google, startTime=before, endTime=at)) == [event.id]
    assert "items" not in ask(google, startTime=after).json()
    google.emitter.emit(1, at_ms=clock.ago_ms(181 * DAY_S))
    assert delivered(walked(google, startTime=rfc3339_ms(clock.ago_ms(190 * DAY_S)))) == [event.id]


@pytest.mark.parametrize(
    "query",
    [
        {"startTime": "2026-03-02"},
        {"startTime": "2026-03-02T08:00:00Z", "endTime": "2026-03-02T08:00:00Z"},
        {"startTime": "2030-01-01T00:00:00Z"},
        {"maxResults": 1001},
        {"pageToken": "made-up"},
        {"limit": 10},
    ],
)
def test_what_cannot_be_asked_is_refused(google: GoogleWorkspace, query: dict[str, Any]) -> None:
    assert reason(ask(google, **query)) == (400, "invalid")


def test_a_page_token_is_good_only_for_what_it_was_given_for(google: GoogleWorkspace) -> None:
    google.emitter.emit(10)
    following = ask(google, maxResults=1).json()["nextPageToken"]
    assert ask(google, maxResults=1, pageToken=following).status_code == 200
    assert reason(ask(google, maxResults=2, pageToken=following)) == (400, "invalid")
    google.faults.plan("expired", after=1)
    assert reason(ask(google, maxResults=1, pageToken=following)) == (400, "invalid")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"sub": "ana@acme.test"}, "invalid_grant"),
        ({"aud": "https://elsewhere.test"}, "invalid_grant"),
        ({"iss": "other"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"scope": "openid"}, "unauthorized_client"),
        ({"grant": "client_credentials"}, "unsupported_grant_type"),
    ],
)
def test_an_assertion_that_is_wrong_brings_no_token(google: GoogleWorkspace, claims: Any, error: str) -> None:
    assert token(google, **claims).json()["error"] == error


def test_who_acts_for_nobody_reads_nothing_and_tokens_end(google: GoogleWorkspace, clock: Clock) -> None:
    assert ask(google, bearer=token(google, sub=None).json()["access_token"]).status_code == 401
    bearer = token(google).json()["access_token"]
    assert ask(google, bearer=bearer).status_code == 200
    clock.move(3600)
    assert reason(ask(google, bearer=bearer)) == (401, "authError")


def test_one_request_too_many_looks_like_a_missing_permission_but_for_its_reason(clock: Clock) -> None:
    with serving(GoogleWorkspace(clock=clock, per_minute=1)) as google:
        assert ask(google).status_code == 200
        assert reason(ask(google)) == (403, "rateLimitExceeded")
        clock.move(60)
        assert ask(google).status_code == 200
