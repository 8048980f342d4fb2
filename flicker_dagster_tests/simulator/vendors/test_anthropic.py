"""The simulated activity feed keeps the rules of Anthropic's Compliance API."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.anthropic import Anthropic
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://api.anthropic.com/v1/compliance/activities"

anthropic = served(Anthropic)


def ask(anthropic: Anthropic, headers: dict[str, str] | None = None, **query: Any) -> requests.Response:
    right = {"x-api-key": anthropic.params["api_key"], "anthropic-version": "2023-06-01"}
    return call(anthropic, URL, query, headers=right if headers is None else headers)


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def test_after_leads_to_older_ones_and_ties_stand_by_their_ids(anthropic: Anthropic) -> None:
    events = sorted(ids(anthropic.emitter.emit(3)), reverse=True)
    first = ask(anthropic, limit=2)
    second = ask(anthropic, limit=2, after_id=first.json()["last_id"])
    assert (found(first), found(second)) == (events[:2], events[2:])
    assert [answer.json()["has_more"] for answer in (first, second)] == [True, False]


def test_before_leads_to_newer_ones_and_a_cursor_stays_valid(anthropic: Anthropic, clock: Clock) -> None:
    anthropic.emitter.emit(1)
    newest = ask(anthropic).json()["first_id"]
    clock.move(90 * DAY_S)
    later = []
    for _ in range(3):
        later += ids(anthropic.emitter.emit(1))
        clock.move(1)
    answer = ask(anthropic, before_id=newest, limit=2)
    assert (found(answer), answer.json()["has_more"]) == ([later[1], later[0]], True)
    assert found(ask(anthropic, before_id=answer.json()["first_id"])) == [later[2]]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({"gte": 20}, "210"), ({"gt": 20}, "21"), ({"gte": 20, "lt": 10}, "10"), ({"gt": 20, "lte": 10}, "21")],
)
def test_bounds_are_dotted_and_in_whole_seconds(
    anthropic: Anthropic, clock: Clock, bounds: dict[str, int], expected: str
) -> None:
    events = [anthropic.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (19.2, 15, 9.2)]
    query = {f"created_at.{name}": rfc3339_ms(clock.ago_ms(ago)) for name, ago in bounds.items()}
    assert found(ask(anthropic, **query)) == [events[int(number)] for number in expected]


def test_each_request_may_be_recorded_a_second_later(clock: Clock) -> None:
    with serving(Anthropic(clock=clock, records_reads=True)) as anthropic:
        assert found(ask(anthropic)) == []
        clock.move(1)
        assert [row["type"] for row in ask(anthropic).json()["data"]] == ["compliance_api_accessed"]
        clock.move(1)
        assert len(found(ask(anthropic))) == 2
        assert found(ask(anthropic, **{"activity_types[]": "claude_chat_created"})) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 5001},
        {"created_at.gte": "2026-03-01"},
        {"created_at[gte]": "2026-03-01T00:00:00Z"},
        {"after_id": "a", "before_id": "b"},
        {"after_id": "a"},
        {"activity_types[]": "unheard_of"},
    ],
)
def test_a_wrong_question_is_refused(anthropic: Anthropic, wrong: dict[str, Any]) -> None:
    answer = ask(anthropic, **wrong)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_the_key_and_the_version_are_headers(anthropic: Anthropic) -> None:
    assert ask(anthropic, {"x-api-key": "bad", "anthropic-version": "2023-06-01"}).status_code == 401
    assert ask(anthropic, bearer(anthropic.params["api_key"])).status_code == 401
    assert ask(anthropic, {"x-api-key": anthropic.params["api_key"]}).status_code == 400


def test_a_used_up_quota_tells_the_wait(clock: Clock) -> None:
    with serving(Anthropic(clock=clock, per_minute=0)) as anthropic:
        answer = ask(anthropic)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
