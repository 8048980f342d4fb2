"""The simulated audit log events keep the rules of Asana's OpenAPI specification."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.asana import Asana
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = f"https://app.asana.com/api/1.0/workspaces/{Asana.params['workspace']}/audit_log_events"
TOKEN = Asana.params["token"]

asana = served(Asana)


def ask(asana: Asana, url: str = URL, token: str = TOKEN, **query: Any) -> requests.Response:
    return call(asana, url, query, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    return [event["gid"] for event in answer.json()["data"]]


def test_the_next_page_is_there_even_where_nothing_is_left(asana: Asana, clock: Clock) -> None:
    events = asana.emitter.emit(5)
    pages, answer = [], ask(asana, limit=2)
    while found(answer):
        pages.append(found(answer))
        answer = ask(asana, answer.json()["next_page"]["uri"])
    assert pages == [ids(events[:2]), ids(events[2:4]), ids(events[4:])]
    offset = answer.json()["next_page"]["offset"]
    clock.move(1)
    (event,) = asana.emitter.emit(1)
    assert found(ask(asana, limit=2, offset=offset)) == [event.id]


def test_there_is_no_next_page_before_the_first_event(asana: Asana) -> None:
    assert ask(asana).json() == {"data": [], "next_page": None}


def test_the_next_page_is_a_path_and_an_address_too(asana: Asana) -> None:
    asana.emitter.emit(1)
    following = ask(asana, limit=1).json()["next_page"]
    assert following["uri"] == f"https://app.asana.com/api/1.0{following['path']}"
    asana.faults.plan("wrong_host")
    assert ask(asana).json()["next_page"]["uri"].startswith("http://evil.invalid/api/1.0/workspaces/")


def test_the_start_is_inclusive_and_the_end_is_not(asana: Asana, clock: Clock) -> None:
    asana.emitter.emit(1, at_ms=clock.ago_ms(100 * DAY_S))
    events = [asana.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 20, 10, 0)]
    span = {"start_at": rfc3339_ms(clock.ago_ms(30)), "end_at": rfc3339_ms(clock.ago_ms(10))}
    assert found(ask(asana, **span)) == ids(events[:2])
    assert found(ask(asana)) == ids(events)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "101"}, {"limit": "0"}, {"since": "1"}, {"start_at": "1772442847"}, {"start_at": "2026-03-01"},
        {"offset": "1"}, {"start_at": "2026-03-02T00:00:00Z", "end_at": "2026-03-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused(asana: Asana, query: dict[str, str]) -> None:
    answer = ask(asana, **query)
    assert (answer.status_code, list(answer.json()["errors"][0])) == (400, ["message"])


def test_an_offset_expires_and_a_page_may_be_larger_at_some(clock: Clock) -> None:
    with serving(Asana(largest_page=1000, clock=clock)) as asana:
        asana.emitter.emit(300)
        answer = ask(asana, limit=200)
        assert len(found(answer)) == 200
        asana.faults.plan("expired")
        assert ask(asana, limit=200, offset=answer.json()["next_page"]["offset"]).status_code == 400


def test_credentials_and_paths(asana: Asana) -> None:
    assert ask(asana, token="wrong").status_code == 401
    assert ask(asana, URL.replace(Asana.params["workspace"], "1")).status_code == 404
    assert ask(asana, URL.replace("app.asana", "asana")).status_code == 404


def test_the_quota_is_refused_with_retry_after(clock: Clock) -> None:
    with serving(Asana(per_minute=1, clock=clock)) as asana:
        assert ask(asana).status_code == 200
        answer = ask(asana)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
