"""The simulated audit records keep the rules of PagerDuty's API schema."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.pagerduty import ACCEPT, PagerDuty
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served

URL = "https://api.pagerduty.com/audit/records"
TOKEN = f"Token token={PagerDuty.params['api_key']}"

pagerduty = served(PagerDuty)


def ask(pagerduty: PagerDuty, *, token: str = TOKEN, accept: str = ACCEPT, **params: Any) -> requests.Response:
    return call(pagerduty, URL, params, headers={"Authorization": token, "Accept": accept})


def found(answer: requests.Response) -> list[str]:
    return [record["id"] for record in answer.json()["records"]]


def test_records_of_one_time_are_walked_newest_first_to_a_null(pagerduty: PagerDuty) -> None:
    events = ids(pagerduty.emitter.emit(5))
    answer = ask(pagerduty, limit=2)
    walked = found(answer)
    while answer.json()["next_cursor"] is not None:
        pagerduty.emitter.emit(1)
        answer = ask(pagerduty, limit=2, cursor=answer.json()["next_cursor"])
        walked += found(answer)
    assert walked == events[::-1]


def test_the_span_is_half_open_and_by_default_the_last_day(pagerduty: PagerDuty, clock: Clock) -> None:
    events = [pagerduty.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (2 * DAY_S, 30, 20)]
    assert found(ask(pagerduty)) == ids(events[:0:-1])
    span = {"since": rfc3339_ms(clock.ago_ms(2 * DAY_S)), "until": rfc3339_ms(clock.ago_ms(20))}
    assert found(ask(pagerduty, **span)) == ids(events[1::-1])


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 101},
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00Z"},
        {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
        {"cursor": "nonsense"},
        {"offset": 100},
    ],
)
def test_what_it_does_not_take_is_refused(pagerduty: PagerDuty, params: dict[str, Any]) -> None:
    answer = ask(pagerduty, **params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2001)


def test_credentials_version_and_quota(pagerduty: PagerDuty) -> None:
    assert ask(pagerduty, token=f"Bearer {PagerDuty.params['api_key']}").status_code == 401
    assert ask(pagerduty, accept="application/json").status_code == 406
    pagerduty.faults.plan("429", seconds=30)
    refused = ask(pagerduty)
    assert (refused.status_code, refused.headers["ratelimit-reset"]) == (429, "30")
    pagerduty.emitter.emit(2)
    cursor = ask(pagerduty, limit=1).json()["next_cursor"]
    pagerduty.faults.plan("expired")
    assert ask(pagerduty, cursor=cursor).status_code == 400
