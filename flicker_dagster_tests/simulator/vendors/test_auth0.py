"""The simulated tenant logs keep the rules of https://auth0.com/docs/deploy-monitor/logs/retrieve-log-events-using-mgmt-api."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.auth0 import Auth0
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://acme.eu.auth0.com"

auth0 = served(Auth0)


def token(auth0: Auth0, **said: str) -> requests.Response:
    asked = {"grant_type": "client_credentials", "audience": f"{URL}/api/v2/"}
    asked |= {name: auth0.params[name] for name in ("client_id", "client_secret")}
    return call(auth0, f"{URL}/oauth/token", method="POST", json=asked | said)


def ask(auth0: Auth0, url: str = f"{URL}/api/v2/logs", bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(auth0).json()["access_token"]
    return call(auth0, url, query, headers={"Authorization": f"Bearer {bearer}"})


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["log_id"] for event in answer.json()]


def forged(ms: int) -> str:
    return f"900{datetime_of(ms):%Y%m%d%H%M%S}{'0' * 39}"


def test_reading_on_meets_rows_as_they_were_stored_and_an_empty_page_names_itself(auth0: Auth0, clock: Clock) -> None:
    (late,) = auth0.emitter.emit(1, at_ms=clock.ago_ms(600), visible_ms=clock.now_ms + 5_000)
    early = auth0.emitter.emit(3)
    first = ask(auth0, **{"from": forged(clock.now_ms), "take": 2})
    second = ask(auth0, first.links["next"]["url"])
    assert [listed(first), listed(second)] == [ids(early[:2]), ids(early[2:])]
    end = ask(auth0, second.links["next"]["url"])
    assert (listed(end), end.links["next"]["url"]) == ([], second.links["next"]["url"])
    clock.move(5)
    new = auth0.emitter.emit(1)
    assert listed(ask(auth0, end.links["next"]["url"])) == [late.id, new[0].id]


def test_a_log_id_is_exclusive_and_search_parameters_beside_it_do_nothing(auth0: Auth0) -> None:
    events = auth0.emitter.emit(3)
    beside = {"q": "date:[* TO *]", "page": 5, "sort": "date:-1"}
    assert listed(ask(auth0, **{"from": events[0].id}, **beside)) == ids(events[1:])


def test_a_search_ends_at_a_thousand_and_is_newest_first(auth0: Auth0, clock: Clock) -> None:
    old = auth0.emitter.emit(1, at_ms=clock.ago_ms(60))[0]
    new = auth0.emitter.emit(1)[0]
    assert listed(ask(auth0)) == ids([new, old])
    assert listed(ask(auth0, sort="date:1", per_page=1, page=1)) == [new.id]
    assert ask(auth0, page=10, per_page=100).status_code == 400
    until = f"{datetime_of(clock.now_ms):%Y-%m-%dT%H:%M:%S}"
    assert listed(ask(auth0, q=f"date:[2026-01-01 TO {until}}}")) == [old.id]
    assert ask(auth0, include_totals="true").json()["total"] == 2


def test_what_the_plan_does_not_keep_is_not_listed(clock: Clock) -> None:
    with serving(Auth0(clock=clock, kept_days=1)) as auth0:
        auth0.emitter.emit(1)
        clock.move(DAY_S + 1)
        assert listed(ask(auth0, **{"from": forged(clock.ago_ms(3 * DAY_S))})) == []


@pytest.mark.parametrize(
    "query",
    [
        {"from": "made-up"},
        {"from": "900", "take": 101},
        {"limit": 5},
        {"per_page": 101},
        {"sort": "x"},
        {"q": "date:["},
    ],
)
def test_what_cannot_be_asked_is_refused(auth0: Auth0, query: dict[str, Any]) -> None:
    assert ask(auth0, **query).json()["errorCode"] == "invalid_query_string"


def test_a_query_that_is_too_long_has_a_status_of_its_own(auth0: Auth0) -> None:
    assert ask(auth0, q="x" * 9_000).status_code == 414


@pytest.mark.parametrize(
    ("said", "status"),
    [({"client_secret": "wrong"}, 401), ({"audience": "https://acme"}, 403), ({"grant_type": "password"}, 403)],
)
def test_a_wrong_login_brings_no_token(auth0: Auth0, said: dict[str, str], status: int) -> None:
    assert token(auth0, **said).status_code == status
    assert call(auth0, f"{URL}/oauth/token", method="POST", json=["client_credentials"]).status_code == 403


def test_tokens_last_a_day_and_the_quota_tells_when_it_begins_anew(clock: Clock) -> None:
    with serving(Auth0(clock=clock, per_minute=1)) as auth0:
        bearer = token(auth0).json()["access_token"]
        assert ask(auth0, bearer=bearer).headers["x-ratelimit-remaining"] == "0"
        refused = ask(auth0, bearer=bearer)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["x-ratelimit-reset"]) - clock.now_s <= 60
        clock.move(DAY_S)
        assert ask(auth0, bearer=bearer).status_code == 401
