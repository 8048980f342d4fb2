"""The simulated Table API keeps the rules of ServiceNow's REST documentation."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.utils import parse_header_links

from flicker_dagster.simulator.vendors.servicenow import ServiceNow
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://acme.service-now.com/api/now/table/sys_audit"
USER = (ServiceNow.params["username"], ServiceNow.params["password"])
ASCENDING = "ORDERBYsys_created_on"

servicenow = served(ServiceNow)


def ask(servicenow: ServiceNow, *, url: str = URL, user: tuple[str, str] = USER, **params: Any) -> requests.Response:
    return call(servicenow, url, {f"sysparm_{name}": value for name, value in params.items()}, auth=user)


def found(answer: requests.Response) -> list[str]:
    return [row["sys_id"] for row in answer.json()["result"]]


def links(answer: requests.Response) -> dict[str, str]:
    return {each["rel"]: each["url"] for each in parse_header_links(answer.headers["Link"])}


def at(ms: int) -> str:
    return f"{datetime_of(ms):%Y-%m-%d %H:%M:%S}"


def test_the_link_header_leads_to_the_end(servicenow: ServiceNow, clock: Clock) -> None:
    events = ids([servicenow.emitter.emit(1, at_ms=clock.ago_ms(50 - n))[0] for n in range(5)])
    answer = ask(servicenow, query=ASCENDING, limit=2)
    assert set(links(answer)) == {"first", "next", "last"}
    assert ';rel="next"' in answer.headers["Link"]
    walked = found(answer)
    while "next" in links(answer):
        answer = ask(servicenow, url=links(answer)["next"])
        walked += found(answer)
    assert walked == events
    assert found(ask(servicenow, query="ORDERBYDESCsys_created_on")) == events[::-1]
    assert found(ask(servicenow)) == sorted(events)  # no order was asked for


@pytest.mark.parametrize(("condition", "numbers"), [(">=", [1, 2]), (">", [2]), ("<=", [0, 1]), ("<", [0]), ("=", [1])])
def test_conditions_bound_whole_seconds(
    servicenow: ServiceNow, clock: Clock, condition: str, numbers: list[int]
) -> None:
    events = [servicenow.emitter.emit(1, at_ms=clock.ago_ms(n) + 600)[0] for n in (40, 30, 20)]
    query = f"sys_created_on{condition}{at(clock.ago_ms(30))}^{ASCENDING}"
    assert found(ask(servicenow, query=query)) == ids([events[n] for n in numbers])


def test_times_of_a_query_may_be_of_the_zone_of_the_user(clock: Clock) -> None:
    with serving(ServiceNow(clock=clock, zone_hours=2)) as servicenow:
        servicenow.emitter.emit(1)
        assert found(ask(servicenow, query=f"sys_created_on>={at(clock.now_ms + 7_200_000)}")) != []
        assert found(ask(servicenow, query=f"sys_created_on>={at(clock.now_ms + 7_201_000)}")) == []


def test_fields_and_display_values(servicenow: ServiceNow) -> None:
    (event,) = servicenow.emitter.emit(1)
    (row,) = ask(servicenow, fields="sys_id,user", display_value="all").json()["result"]
    assert row == {
        "sys_id": {"display_value": event.id, "value": event.id},
        "user": {"display_value": "ana", "value": "ana"},
    }


@pytest.mark.parametrize(
    "params",
    [
        {"query": "sys_created_on>=2026-03-02T00:00:00Z"},
        {"query": "created>=2026-03-02 00:00:00"},
        {"query": "ORDERBYnothing"},
        {"limit": 10_001},
        {"offset": -1},
        {"display_value": "both"},
        {"fields": "colour"},
        {"page": 2},
    ],
)
def test_what_it_does_not_take_is_refused(servicenow: ServiceNow, params: dict[str, Any]) -> None:
    answer = ask(servicenow, **params)
    assert (answer.status_code, answer.json()["status"]) == (400, "failure")


def test_credentials_instance_quota_and_links_elsewhere(servicenow: ServiceNow) -> None:
    assert ask(servicenow, user=(USER[0], "bad")).status_code == 401
    assert ask(servicenow, url=URL.replace("acme", "other")).status_code == 404
    servicenow.emitter.emit(2)
    servicenow.faults.plan("wrong_host")
    assert links(ask(servicenow, limit=1))["next"].startswith("http://evil.invalid/api/now")
    servicenow.per_minute = 0
    assert ask(servicenow).headers["Retry-After"] == "60"
