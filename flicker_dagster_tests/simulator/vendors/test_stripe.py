"""The simulated events keep the rules of Stripe's API reference."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.stripe import Stripe
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served

URL = "https://api.stripe.com/v1/events"
KEY = Stripe.params["api_key"]

stripe = served(Stripe)


def ask(stripe: Stripe, *, url: str = URL, key: str = KEY, **params: Any) -> requests.Response:
    return call(stripe, url, params, headers=bearer(key))


def found(answer: requests.Response) -> list[str]:
    return [event["id"] for event in answer.json()["data"]]


def test_older_events_follow_the_last_id(stripe: Stripe) -> None:
    events = ids(stripe.emitter.emit(5))
    answer = ask(stripe, limit=2)
    walked = found(answer)
    while answer.json()["has_more"]:
        stripe.emitter.emit(1)
        answer = ask(stripe, limit=2, starting_after=walked[-1])
        walked += found(answer)
    assert walked == events[::-1]


def test_newer_events_come_before_the_newest_known_id(stripe: Stripe) -> None:
    events = ids(stripe.emitter.emit(5))
    answer = ask(stripe, limit=2, ending_before=events[0])
    assert (found(answer), answer.json()["has_more"]) == (events[2:0:-1], True)
    answer = ask(stripe, limit=2, ending_before=events[2])
    assert (found(answer), answer.json()["has_more"]) == (events[:2:-1], False)


@pytest.mark.parametrize(("bound", "numbers"), [("gte", [2, 1]), ("gt", [2]), ("lte", [1, 0]), ("lt", [0])])
def test_created_is_bounded_in_whole_seconds(stripe: Stripe, clock: Clock, bound: str, numbers: list[int]) -> None:
    events = [stripe.emitter.emit(1, at_ms=clock.ago_ms(n) + 400)[0] for n in (40, 30, 20)]
    params: dict[str, Any] = {f"created[{bound}]": clock.ago_ms(30) // 1000}
    answer = ask(stripe, **params)
    assert found(answer) == ids([events[n] for n in numbers])
    assert {event["created"] % 10 for event in answer.json()["data"]} == {0}


def test_events_are_kept_30_days(stripe: Stripe, clock: Clock) -> None:
    (event,) = stripe.emitter.emit(1)
    clock.move(31 * DAY_S)
    assert found(ask(stripe)) == []
    assert ask(stripe, ending_before=event.id).json()["error"]["code"] == "resource_missing"


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 101},
        {"created[gte]": "2026-03-02T00:00:00Z"},
        {"created[since]": 1_772_442_847},
        {"starting_after": "evt_none"},
        {"starting_after": "evt_1", "ending_before": "evt_2"},
        {"type": "a.b", "types[]": "c.d"},
        {"page": 2},
    ],
)
def test_what_it_does_not_take_is_refused(stripe: Stripe, params: dict[str, Any]) -> None:
    answer = ask(stripe, **params)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_credentials_and_quota(stripe: Stripe) -> None:
    assert ask(stripe, key="bad").status_code == 401
    assert call(stripe, URL, auth=(KEY, "")).status_code == 200
    assert call(stripe, URL, auth=("", KEY)).status_code == 401
    assert ask(stripe, url="https://files.stripe.com/v1/events").status_code == 404
    stripe.per_minute = 0
    refused = ask(stripe)
    assert (refused.status_code, refused.headers["Stripe-Should-Retry"]) == (429, "true")
    assert "Retry-After" not in refused.headers
