"""The simulated audit log entries keep the rules of Wiz's GraphQL API."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.wiz import Wiz
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

API, TOKEN_URL = "https://api.us17.app.wiz.io/graphql", "https://auth.app.wiz.io/oauth/token"
QUERY = """
query Entries($first: Int, $after: String, $filterBy: AuditLogEntryFilters) {
  auditLogEntries(first: $first, after: $after, filterBy: $filterBy) {
    nodes { id action timestamp user { id name } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

wiz = served(Wiz)


def token(wiz: Wiz, **form: str) -> requests.Response:
    client = {name: wiz.params[name] for name in ("client_id", "client_secret")}
    asked = {"grant_type": "client_credentials", "audience": "wiz-api", **client, **form}
    return call(wiz, TOKEN_URL, method="POST", data=asked)


def ask(wiz: Wiz, bearer: str | None = None, query: str = QUERY, **variables: Any) -> requests.Response:
    bearer = bearer or token(wiz).json()["access_token"]
    body = {"query": query, "variables": {"first": 2} | variables}
    return call(wiz, API, method="POST", json=body, headers={"Authorization": f"Bearer {bearer}"})


def entries(answer: requests.Response) -> dict[str, Any]:
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]["auditLogEntries"]


def found(answer: requests.Response) -> list[str]:
    return [node["id"] for node in entries(answer)["nodes"]]


def between(clock: Clock, start_ago_s: float, end_ago_s: float) -> dict[str, Any]:
    bounds = {"after": rfc3339_ms(clock.ago_ms(start_ago_s)), "before": rfc3339_ms(clock.ago_ms(end_ago_s))}
    return {"timestamp": bounds}


@pytest.mark.parametrize("newest_first", [True, False])
def test_cursors_lead_through_everything_once(clock: Clock, newest_first: bool) -> None:
    with serving(Wiz(clock=clock, newest_first=newest_first)) as wiz:
        events = ids(wiz.emitter.emit(3))
        first = ask(wiz)
        second = ask(wiz, after=entries(first)["pageInfo"]["endCursor"])
        assert found(first) + found(second) == (events[::-1] if newest_first else events)
        assert [entries(answer)["pageInfo"]["hasNextPage"] for answer in (first, second)] == [True, False]


def test_an_empty_page_may_name_a_next_one(wiz: Wiz) -> None:
    events = ids(wiz.emitter.emit(2))
    bearer = token(wiz).json()["access_token"]
    wiz.faults.plan("empty")
    answer = ask(wiz, bearer)
    assert (found(answer), entries(answer)["pageInfo"]["hasNextPage"]) == ([], True)
    assert found(ask(wiz, bearer, after=entries(answer)["pageInfo"]["endCursor"])) == events[::-1]


def test_the_filter_takes_a_span_and_only_what_is_selected_is_told(wiz: Wiz, clock: Clock) -> None:
    inside, *_ = ids([wiz.emitter.emit(1, at_ms=clock.ago_ms(ago))[0] for ago in (20, 10, 5)])
    answer = ask(wiz, filterBy=between(clock, 20, 10))
    assert found(answer) == [inside]
    assert set(entries(answer)["nodes"][0]) == {"id", "action", "timestamp", "user"}


def test_fractions_of_a_second_have_up_to_six_digits(wiz: Wiz) -> None:
    wiz.emitter.emit(300)
    lengths = {len(node["timestamp"]) for node in entries(ask(wiz, first=300))["nodes"]}
    assert len(lengths) > 1


def test_variables_are_an_object(wiz: Wiz) -> None:
    headers = {"Authorization": f"Bearer {token(wiz).json()['access_token']}"}
    body = {"query": QUERY, "variables": [2]}
    assert call(wiz, API, method="POST", json=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": "query {"},
        {"query": QUERY.replace("action", "kind")},
        {"query": QUERY.replace("user { id name }", "user")},
        {"first": 501},
        {"first": "2"},
        {"after": "abc"},
        {"filterBy": {"timestamp": {"after": "yesterday"}}},
        {"filterBy": {"timestamp": {"gt": "2026-03-01T00:00:00Z"}}},
    ],
)
def test_a_wrong_question_is_an_error_with_status_200(wiz: Wiz, wrong: dict[str, Any]) -> None:
    answer = ask(wiz, **wrong)
    assert answer.status_code == 200
    assert answer.json()["errors"]
    assert answer.json()["data"] is None


def test_a_cursor_belongs_to_its_filter_and_may_be_over(wiz: Wiz, clock: Clock) -> None:
    wiz.emitter.emit(3)
    bearer = token(wiz).json()["access_token"]
    after = entries(ask(wiz, bearer))["pageInfo"]["endCursor"]
    assert ask(wiz, bearer, after=after, filterBy=between(clock, 60, -60)).json()["errors"]
    wiz.faults.plan("expired")
    assert ask(wiz, bearer, after=after).json()["errors"]
    assert len(found(ask(wiz, bearer, after=after))) == 1


def test_tokens_are_made_for_an_audience_at_their_own_host_and_end(wiz: Wiz, clock: Clock) -> None:
    minted = token(wiz).json()
    assert token(wiz, audience="beyond-api").status_code == 400
    assert token(wiz, client_secret="bad").status_code == 401
    assert call(wiz, API.replace("/graphql", "/oauth/token"), method="POST").status_code == 404
    clock.move(minted["expires_in"])
    assert ask(wiz, minted["access_token"]).status_code == 401


def test_a_token_may_be_refused_as_other_errors_are(clock: Clock) -> None:
    with serving(Wiz(clock=clock, refused_with_200=True)) as wiz:
        refused = ask(wiz, "wrong")
        assert refused.status_code == 200
        assert refused.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


def test_a_used_up_quota_is_refused(clock: Clock) -> None:
    with serving(Wiz(clock=clock, per_minute=0)) as wiz:
        assert ask(wiz).status_code == 429
