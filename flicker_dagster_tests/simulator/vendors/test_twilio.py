"""The simulated Monitor events keep the rules of Twilio's API description."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.twilio import Twilio
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served

URL = "https://monitor.twilio.com/v1/Events"
USER = (Twilio.params["account_sid"], Twilio.params["auth_token"])

twilio = served(Twilio)


def ask(twilio: Twilio, *, url: str = URL, user: tuple[str, str] = USER, **params: Any) -> requests.Response:
    return call(twilio, url, params, auth=user)


def found(answer: requests.Response) -> list[str]:
    return [event["sid"] for event in answer.json()["events"]]


def at(ms: int) -> str:
    return f"{datetime_of(ms):%Y-%m-%dT%H:%M:%SZ}"


def test_next_urls_lead_newest_first_to_a_null(twilio: Twilio) -> None:
    events = ids(twilio.emitter.emit(5))
    answer = ask(twilio, PageSize=2)
    walked = found(answer)
    while answer.json()["meta"]["next_page_url"]:
        assert answer.json()["meta"]["next_page_url"].startswith(f"{URL}?PageSize=2&Page=")
        twilio.emitter.emit(1)
        answer = ask(twilio, url=answer.json()["meta"]["next_page_url"])
        walked += found(answer)
    assert walked == events[::-1]
    assert (answer.json()["meta"]["key"], answer.json()["meta"]["page"]) == ("events", 2)


def test_both_bounds_are_inclusive_seconds(twilio: Twilio, clock: Clock) -> None:
    events = [twilio.emitter.emit(1, at_ms=clock.ago_ms(n) + 900)[0] for n in (40, 30, 20, 10)]
    assert found(ask(twilio, StartDate=at(clock.ago_ms(30)), EndDate=at(clock.ago_ms(20)))) == ids(events[2:0:-1])


@pytest.mark.parametrize(
    "params",
    [
        {"PageSize": 1001},
        {"Page": 1},
        {"PageToken": "PAnonsense", "Page": 1},
        {"StartDate": "2026-03-02T00:00:00.000Z"},
        {"StartDate": "2026-03-02T00:00:00Z", "EndDate": "2026-03-01T00:00:00Z"},
        {"startDate": "2026-03-02T00:00:00Z"},
    ],
)
def test_what_it_does_not_take_is_refused(twilio: Twilio, params: dict[str, Any]) -> None:
    answer = ask(twilio, **params)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_credentials_quota_and_links_elsewhere(twilio: Twilio) -> None:
    assert ask(twilio, user=(USER[0], "bad")).json()["code"] == 20003
    assert ask(twilio, url="https://api.twilio.com/v1/Events").json()["code"] == 20404
    twilio.emitter.emit(2)
    twilio.faults.plan("wrong_host")
    assert ask(twilio, PageSize=1).json()["meta"]["next_page_url"].startswith("http://evil.invalid/v1/Events")
    link = ask(twilio, PageSize=1).json()["meta"]["next_page_url"]
    twilio.faults.plan("expired")
    assert ask(twilio, url=link).status_code == 400
    twilio.per_minute = 0
    assert ask(twilio).json()["code"] == 20429
