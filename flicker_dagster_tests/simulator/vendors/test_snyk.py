"""The simulated audit logs keep the rules of Snyk's REST API."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.snyk import MEDIA_TYPE, Snyk
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

API = "https://api.snyk.io"
VERSION = "2024-04-29"
GROUP = f"/rest/groups/{Snyk.params['group_id']}/audit_logs/search"

snyk = served(Snyk)


def ask(snyk: Snyk, path: str = GROUP, auth: str = "", accept: str = MEDIA_TYPE, **query: Any) -> requests.Response:
    headers = {"Authorization": auth or f"token {snyk.params['token']}", "Accept": accept}
    asked = {} if "?" in path else {"version": VERSION} | query
    return call(snyk, API + path, asked, headers=headers)


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [Snyk.id_of("", row) for row in answer.json()["data"].get("items", [])]


def walked(snyk: Snyk, path: str = GROUP, **query: Any) -> list[str]:
    answer = ask(snyk, path, **query)
    met = found(answer)
    while "next" in answer.json()["links"]:
        assert answer.json()["links"]["next"].startswith("/rest/")
        answer = ask(snyk, answer.json()["links"]["next"])
        met += found(answer)
    return met


@pytest.mark.parametrize(("order", "step"), [({}, -1), ({"sort_order": "DESC"}, -1), ({"sort_order": "ASC"}, 1)])
def test_relative_links_lead_through_everything_once(
    snyk: Snyk, clock: Clock, order: dict[str, str], step: int
) -> None:
    events = ids(snyk.emitter.emit(5))
    clock.move(1)
    assert walked(snyk, size=2, **order) == events[::step]


def test_nothing_has_no_items_and_an_empty_page_may_lead_on(snyk: Snyk) -> None:
    assert ask(snyk).json()["data"] == {}
    events = ids(snyk.emitter.emit(2))
    snyk.faults.plan("empty")
    assert walked(snyk) == events[::-1]


def test_organizations_are_listed_in_pages_and_each_has_a_log(snyk: Snyk) -> None:
    events = ids(snyk.emitters["orgs"].emit(40))
    first = ask(snyk, "/rest/orgs", limit=10)
    second = ask(snyk, first.json()["links"]["next"])
    assert "next" not in second.json()["links"]
    organizations = [row["id"] for answer in (first, second) for row in answer.json()["data"]]
    met = list(chain(*(walked(snyk, f"/rest/orgs/{each}/audit_logs/search") for each in organizations)))
    assert (len(organizations), sorted(met)) == (12, sorted(events))
    assert ask(snyk, "/rest/orgs", limit=25).status_code == 400


def test_from_is_inclusive_to_is_not_and_yesterday_is_the_default(snyk: Snyk, clock: Clock) -> None:
    old, first, last = (snyk.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (2 * DAY_S, 20, 10))
    span = {"from": rfc3339_ms(clock.ago_ms(20)), "to": rfc3339_ms(clock.ago_ms(10))}
    assert walked(snyk, **span) == [first]
    assert walked(snyk) == [last, first]
    assert old in walked(snyk, **{"from": rfc3339_ms(clock.ago_ms(3 * DAY_S))})


def test_calls_of_the_api_are_listed_to_who_asks_for_them(clock: Clock) -> None:
    with serving(Snyk(clock=clock, api_access=0.5)) as snyk:
        events = snyk.emitter.emit(20)
        usual, access = walked(snyk), walked(snyk, events="api.access")
        assert sorted(usual + access) == sorted(ids(events))
        assert sorted(usual) == sorted(event.id for event in events if snyk.is_listed("group", event.body))
        assert access


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": ""},
        {"version": "2023-01-01"},
        {"size": 101},
        {"sort_order": "asc"},
        {"from": "2026-03-01"},
        {"events": "org.edit", "exclude_events": "group.edit"},
        {"limit": 10},
        {"cursor": "abc"},
    ],
)
def test_a_wrong_question_is_refused(snyk: Snyk, wrong: dict[str, Any]) -> None:
    answer = ask(snyk, **wrong)
    assert (answer.status_code, answer.json()["errors"][0]["status"]) == (400, "400")


def test_a_cursor_goes_stale(snyk: Snyk) -> None:
    snyk.emitter.emit(3)
    link = ask(snyk, size=1).json()["links"]["next"]
    snyk.faults.plan("expired")
    assert ask(snyk, link).status_code == 400
    assert len(found(ask(snyk, link))) == 1


def test_a_key_has_its_own_scheme_and_a_service_account_a_token(snyk: Snyk, clock: Clock) -> None:
    assert ask(snyk, auth=f"Bearer {snyk.params['token']}").status_code == 401
    assert ask(snyk, accept="application/json").status_code == 406
    assert ask(snyk, GROUP.replace("8fff", "9fff")).status_code == 403
    form = {"grant_type": "client_credentials", **snyk.service_account}
    minted = call(snyk, f"{API}/oauth2/token", method="POST", data=form).json()
    assert ask(snyk, auth=f"Bearer {minted['access_token']}").status_code == 200
    clock.move(minted["expires_in"])
    assert ask(snyk, auth=f"Bearer {minted['access_token']}").status_code == 401


def test_the_quota_is_told_in_a_structured_limit_and_seconds(clock: Clock) -> None:
    with serving(Snyk(clock=clock, per_minute=1)) as snyk:
        assert ask(snyk).headers["X-RateLimit-Limit"].startswith("1, 1;w=60;")
        answer = ask(snyk)
        assert (answer.status_code, answer.headers["X-RateLimit-Reset"]) == (429, "60")
