"""The simulated audit log keeps the rules of monday.com's audit log documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendor import content_of
from flicker_dagster.simulator.vendors.monday import Monday
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served

URL = "https://acme.monday.com/audit-api/get-logs"

monday = served(Monday)


def ask(monday: Monday, *, url: str = URL, token: str = "audit-9c1d0e7f", **params: Any) -> requests.Response:
    return call(monday, url, params, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    return [content_of(row) for row in answer.json()["data"]]


def at(ms: int) -> str:
    return f"{datetime_of(ms):%Y-%m-%dT%H:%M:%SZ}"


def test_numbered_pages_are_newest_first_and_shift(monday: Monday, clock: Clock) -> None:
    events = ids(monday.emitter.emit(250, at_ms=clock.ago_ms(5)))[::-1]
    assert len(set(events)) < 250  # equal rows are events of their own
    first = ask(monday)
    assert (found(first), first.json()["next_page"]) == (events[:100], 2)
    monday.emitter.emit(1)
    assert found(ask(monday, page=2)) == events[99:199]
    last = ask(monday, page=3)
    assert (found(last), last.json()["next_page"]) == (events[199:], None)


def test_filters_are_json_with_inclusive_seconds(monday: Monday, clock: Clock) -> None:
    events = [monday.emitter.emit(1, at_ms=clock.ago_ms(n) + 700)[0] for n in (40, 30, 20, 10)]
    filters = json.dumps({"start_time": at(clock.ago_ms(30)), "end_time": at(clock.ago_ms(20))})
    assert found(ask(monday, filters=filters)) == ids(events[2:0:-1])


@pytest.mark.parametrize(
    "params",
    [
        {"per_page": 99},
        {"per_page": 1001},
        {"page": 0},
        {"start_time": "2026-03-01T00:00:00Z"},
        {"filters": "start_time"},
        {"filters": '{"from":"2026-03-01T00:00:00Z"}'},
        {"filters": '{"start_time":"2026-03-01"}'},
        {"filters": '{"start_time":"2026-03-02T00:00:00Z","end_time":"2026-03-01T00:00:00Z"}'},
    ],
)
def test_what_it_does_not_take_is_refused(monday: Monday, params: dict[str, Any]) -> None:
    assert ask(monday, **params).status_code == 400


def test_credentials_account_and_quota(monday: Monday) -> None:
    assert ask(monday, token="bad").status_code == 401
    assert ask(monday, url="https://other.monday.com/audit-api/get-logs").status_code == 404
    statuses = [ask(monday).status_code for _ in range(50)]
    assert statuses == [200] * 49 + [429]  # the wrong account cost one
