"""The simulated events keep the rules of https://developers.onelogin.com/api-docs/1/events/get-events."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.onelogin import OneLogin
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://acme.onelogin.com"

onelogin = served(OneLogin)


def token(onelogin: OneLogin, secret: str = "", grant: str = "client_credentials") -> requests.Response:
    said = f"client_id:{onelogin.params['client_id']}, client_secret:{secret or onelogin.params['client_secret']}"
    url = f"{URL}/auth/oauth2/v2/token"
    return call(onelogin, url, {"grant_type": grant}, method="POST", headers={"Authorization": said})


def ask(onelogin: OneLogin, authorization: str = "", path: str = "/api/1/events", **query: Any) -> requests.Response:
    authorization = authorization or f"bearer:{token(onelogin).json()['access_token']}"
    return call(onelogin, URL + path, query, headers={"Authorization": authorization})


def walked(onelogin: OneLogin, **query: Any) -> list[list[str]]:
    pages, following = [], {}
    while True:
        answer = ask(onelogin, **query, **following).json()
        assert answer["status"]["error"] is False, answer
        pages.append([str(event["id"]) for event in answer["data"]])
        if answer["pagination"]["after_cursor"] is None:
            return pages
        following = {"after_cursor": answer["pagination"]["after_cursor"]}


def test_a_walk_follows_the_cursor_by_time_or_by_id(onelogin: OneLogin, clock: Clock) -> None:
    new, old = onelogin.emitter.emit(2), onelogin.emitter.emit(1, at_ms=clock.ago_ms(60))
    assert walked(onelogin, since=rfc3339_ms(clock.ago_ms(60)), limit=2) == [ids([old[0], new[0]]), ids([new[1]])]
    assert walked(onelogin, sort="+id", limit=2) == [ids(new), ids(old)]
    assert walked(onelogin, sort="-id", limit=2) == [ids([old[0], new[1]]), ids([new[0]])]
    onelogin.faults.plan("empty", after=1)
    assert walked(onelogin)[0] == []


def test_bounds_hold_the_whole_second(onelogin: OneLogin, clock: Clock) -> None:
    events = [onelogin.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (10, 9.9, 9)]
    bounds = {"since": rfc3339_ms(clock.ago_ms(9.5)), "until": rfc3339_ms(clock.ago_ms(9.5))}
    assert walked(onelogin, **bounds) == [ids(events[:2])]


@pytest.mark.parametrize(
    "query",
    [{"since": "1772442847"}, {"limit": 1001}, {"sort": "created_at"}, {"after_cursor": "made-up"}, {"page": 2}],
)
def test_what_cannot_be_asked_is_refused_in_the_status_of_the_body(clock: Clock, query: dict[str, Any]) -> None:
    for quiet in (False, True):
        with serving(OneLogin(clock=clock, refused_with_200=quiet)) as onelogin:
            answer = ask(onelogin, **query)
            assert (answer.status_code, answer.json()["status"]["code"]) == (200 if quiet else 400, 400)


def test_a_token_may_be_refused_in_the_status_of_the_body(clock: Clock) -> None:
    with serving(OneLogin(clock=clock, refused_with_200=True)) as onelogin:
        refused = ask(onelogin, "bearer:wrong")
        assert (refused.status_code, refused.json()["status"]["code"]) == (200, 401)
        assert token(onelogin, secret="wrong").status_code == 401


def test_a_cursor_is_good_for_its_own_question_until_it_is_gone(onelogin: OneLogin) -> None:
    onelogin.emitter.emit(3)
    cursor = ask(onelogin, limit=1).json()["pagination"]["after_cursor"]
    assert ask(onelogin, limit=1, after_cursor=cursor).status_code == 200
    assert ask(onelogin, limit=1, after_cursor=cursor, sort="-id").status_code == 400
    onelogin.faults.plan("wrong_host", after=1)
    assert ask(onelogin, limit=1).json()["pagination"]["next_link"].startswith("http://evil.invalid/api/1/events?")
    onelogin.faults.plan("expired", after=1)
    assert ask(onelogin, limit=1, after_cursor=cursor).status_code == 400


def test_the_login_and_the_bearer_are_spelled_in_one_way(onelogin: OneLogin, clock: Clock) -> None:
    assert token(onelogin, secret="wrong").status_code == 401
    assert token(onelogin, grant="password").status_code == 400
    value = token(onelogin).json()["access_token"]
    assert ask(onelogin, f"bearer:{value}").status_code == 200
    for authorization in (f"Bearer {value}", f"bearer: {value}", "bearer:wrong"):
        assert ask(onelogin, authorization).status_code == 401
    clock.move(36_000)
    assert ask(onelogin, f"bearer:{value}").status_code == 401


def test_types_have_names_and_the_quota_ends(clock: Clock) -> None:
    with serving(OneLogin(clock=clock, per_minute=1)) as onelogin:
        assert {"id": 5, "name": "USER_LOGGED_INTO_ONELOGIN"} in ask(onelogin, path="/api/1/events/types").json()[
            "data"
        ]
        assert ask(onelogin).json()["status"]["code"] == 429
