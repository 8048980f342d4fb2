"""The simulated audit logs keep the rules of OpenAI's published specification."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.openai import OpenAI
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://api.openai.com/v1/organization/audit_logs"

openai = served(OpenAI)


def ask(openai: OpenAI, key: str = "", **query: Any) -> requests.Response:
    return call(openai, URL, query, headers=bearer(key or openai.params["admin_key"]))


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def test_after_leads_to_the_oldest_and_an_empty_page_has_no_ids(openai: OpenAI) -> None:
    events = ids(openai.emitter.emit(3))[::-1]
    first = ask(openai, limit=2)
    second = ask(openai, limit=2, after=first.json()["last_id"])
    assert (found(first), found(second)) == (events[:2], events[2:])
    assert [answer.json()["has_more"] for answer in (first, second)] == [True, False]
    third = ask(openai, after=events[2]).json()
    assert (third["data"], third["first_id"], third["last_id"], third["has_more"]) == ([], None, None, False)


def test_before_leads_to_the_newer_ones_nearest_first(openai: OpenAI) -> None:
    events = ids(openai.emitter.emit(4))
    answer = ask(openai, limit=2, before=events[0])
    assert (found(answer), answer.json()["has_more"]) == ([events[2], events[1]], True)
    assert found(ask(openai, limit=2, before=events[2])) == [events[3]]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({"gte": 20}, "210"), ({"gt": 20}, "21"), ({"gte": 20, "lt": 10}, "10"), ({"gt": 20, "lte": 10}, "21")],
)
def test_bounds_are_whole_seconds(openai: OpenAI, clock: Clock, bounds: dict[str, int], expected: str) -> None:
    events = [openai.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (19.2, 15, 9.2)]
    query = {f"effective_at[{name}]": int(clock.now_s) - ago for name, ago in bounds.items()}
    assert found(ask(openai, **query)) == [events[int(number)] for number in expected]


def test_details_stand_under_a_key_with_a_dot_and_a_tenant_has_its_own_log(openai: OpenAI) -> None:
    openai.emitter.emit(1)
    (tenant,) = openai.emitters["tenant"].emit(1)
    (row,) = ask(openai).json()["data"]
    assert "." in row["type"]
    assert row["type"] in row
    assert found(ask(openai, tenant_only="true")) == [tenant.id]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 101},
        {"effective_at[gte]": "2026-03-01T00:00:00Z"},
        {"effective_at[gte]": 1772442000000},
        {"order": "asc"},
        {"after": "audit_log-x"},
        {"tenant_only": "yes"},
    ],
)
def test_a_wrong_question_is_refused(openai: OpenAI, wrong: dict[str, Any]) -> None:
    answer = ask(openai, **wrong)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_another_key_or_path_is_refused(openai: OpenAI) -> None:
    assert ask(openai, "sk-proj-1").json()["error"]["code"] == "invalid_api_key"
    right = bearer(openai.params["admin_key"])
    assert call(openai, f"{URL}x", headers=right).status_code == 404


def test_a_used_up_quota_tells_the_wait(clock: Clock) -> None:
    with serving(OpenAI(clock=clock, per_minute=0)) as openai:
        answer = ask(openai)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
