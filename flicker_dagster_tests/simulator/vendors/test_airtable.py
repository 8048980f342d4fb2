"""The simulated audit log events keep the rules of Airtable's web API documentation."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.airtable import Airtable
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served

URL = "https://api.airtable.com/v0/meta/enterpriseAccounts/entUBq2RGdihxl3vU/auditLogEvents"
TOKEN = Airtable.params["token"]

airtable = served(Airtable)


def ask(airtable: Airtable, *, url: str = URL, token: str = TOKEN, **params: Any) -> requests.Response:
    return call(airtable, url, params, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    return [event["id"] for event in answer.json()["events"]]


def test_without_an_end_the_cursor_to_newer_events_never_ends(airtable: Airtable, clock: Clock) -> None:
    events = ids(airtable.emitter.emit(5))
    answer = ask(airtable, sortOrder="ascending", pageSize=3)
    assert found(answer) == events[2::-1]  # a page has its newest first
    assert answer.json()["pagination"]["previous"] is None
    answer = ask(airtable, pageSize=3, next=answer.json()["pagination"]["next"])
    assert found(answer) == events[:2:-1]
    kept = answer.json()["pagination"]["next"]
    assert ask(airtable, next=kept).json()["pagination"]["next"] == kept
    late = ids(airtable.emitter.emit(1, at_ms=clock.ago_ms(60)))
    assert found(ask(airtable, next=kept)) == late


def test_by_default_the_newest_come_first_and_previous_leads_to_older_ones(airtable: Airtable) -> None:
    events = ids(airtable.emitter.emit(12))
    answer = ask(airtable, next="null")
    assert found(answer) == events[:1:-1]
    assert found(ask(airtable, previous=answer.json()["pagination"]["previous"])) == events[1::-1]


def test_a_span_is_half_open_and_ends_with_null(airtable: Airtable, clock: Clock) -> None:
    events = [airtable.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    span = {"startTime": rfc3339_ms(clock.ago_ms(40)), "endTime": rfc3339_ms(clock.ago_ms(20))}
    answer = ask(airtable, sortOrder="ascending", **span)
    assert found(answer) == ids(events[1::-1])
    assert answer.json()["pagination"]["next"] is None
    airtable.faults.plan("empty")
    empty = ask(airtable, sortOrder="ascending", **span)
    assert found(empty) == []
    again = ask(airtable, sortOrder="ascending", next=empty.json()["pagination"]["next"], **span)
    assert found(again) == ids(events[1::-1])
    clock.move(181 * DAY_S)
    assert found(ask(airtable)) == []


@pytest.mark.parametrize(
    "params",
    [
        {"pageSize": 1001},
        {"sortOrder": "asc"},
        {"startTime": "2026-03-02"},
        {"startTime": "2026-03-02T00:00:00.000Z", "endTime": "2026-03-01T00:00:00.000Z"},
        {"next": "nonsense"},
        {"offset": "x"},
    ],
)
def test_what_it_does_not_take_is_refused(airtable: Airtable, params: dict[str, Any]) -> None:
    answer = ask(airtable, **params)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "INVALID_REQUEST_UNKNOWN")


def test_credentials_account_and_quota(airtable: Airtable) -> None:
    assert ask(airtable, token="bad").status_code == 401
    assert ask(airtable, url=URL.replace("entU", "entX")).status_code == 404
    airtable.per_minute = 0
    refused = ask(airtable)
    assert (refused.status_code, refused.json()["errors"][0]["error"]) == (429, "RATE_LIMIT_REACHED")
