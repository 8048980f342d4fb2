"""The simulated GraphQL API keeps the rules of Linear's schema and of its documentation of limits."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.linear import Linear
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served

URL = "https://api.linear.app/graphql"
QUERY = """query($first: Int, $last: Int, $after: String, $before: String, $filter: AuditEntryFilter) {
  auditEntries(first: $first, last: $last, after: $after, before: $before, filter: $filter) {
    nodes { id createdAt type actorId ip metadata } pageInfo { hasNextPage endCursor hasPreviousPage startCursor } } }"""

linear = served(Linear)


def ask(
    linear: Linear, query: str = QUERY, *, key: str = Linear.params["api_key"], **variables: Any
) -> requests.Response:
    body = {"query": query, "variables": variables}
    return call(linear, URL, method="POST", headers={"Authorization": key}, json=body)


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [node["id"] for node in answer.json()["data"]["auditEntries"]["nodes"]]


def info(answer: requests.Response) -> dict[str, Any]:
    return answer.json()["data"]["auditEntries"]["pageInfo"]


def test_entries_are_newest_first_and_hold_the_fields_asked_for(linear: Linear) -> None:
    events = ids(linear.emitter.emit(5))
    answer = ask(linear, first=2)
    assert list(answer.json()["data"]["auditEntries"]["nodes"][0]) == [
        "id", "createdAt", "type", "actorId", "ip", "metadata"
    ]  # fmt: skip
    walked = found(answer)
    linear.emitter.emit(1)
    while info(answer)["hasNextPage"]:
        answer = ask(linear, first=2, after=info(answer)["endCursor"])
        walked += found(answer)
    assert walked == events[::-1]


def test_last_and_before_walk_the_other_way(linear: Linear) -> None:
    events = ids(linear.emitter.emit(5))[::-1]
    answer = ask(linear, last=2)
    assert (found(answer), info(answer)["hasPreviousPage"]) == (events[3:], True)
    assert found(ask(linear, last=2, before=info(answer)["startCursor"])) == events[1:3]


@pytest.mark.parametrize(("bound", "numbers"), [("gte", [2, 1]), ("gt", [2]), ("lte", [1, 0]), ("lt", [0])])
def test_a_filter_bounds_the_time(linear: Linear, clock: Clock, bound: str, numbers: list[int]) -> None:
    events = [linear.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    answer = ask(linear, filter={"createdAt": {bound: rfc3339_ms(clock.ago_ms(30))}})
    assert found(answer) == ids([events[n] for n in numbers])


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ auditEntries { nodes { id colour } } }", {}),
        ("{ auditEntries(since: 1) { nodes { id } } }", {}),
        ("{ auditEntries { nodes } }", {}),
        ("{ auditEntries {", {}),
        (QUERY, {"first": 251}),
        (QUERY, {"after": "nonsense"}),
        (QUERY, {"filter": {"createdAt": {"gte": "soon"}}}),
        (QUERY, {"filter": {"createdAt": {"from": "2026-03-02T00:00:00Z"}}}),
    ],
)
def test_what_the_schema_does_not_have_is_refused(linear: Linear, query: str, variables: dict[str, Any]) -> None:
    answer = ask(linear, query, **variables)
    assert (answer.status_code, list(answer.json())) == (400, ["errors"])


def test_credentials_method_and_quota(linear: Linear) -> None:
    assert ask(linear, key=f"Bearer {Linear.params['api_key']}").status_code == 401
    key = {"Authorization": Linear.params["api_key"]}
    assert call(linear, URL, {"query": QUERY}, headers=key).status_code == 400
    assert call(linear, URL, method="POST", headers=key, data={"query": QUERY}).status_code == 400
    linear.faults.plan("429", seconds=30)
    refused = ask(linear)
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["type"]) == (400, "ratelimited")
    assert refused.headers["X-RateLimit-Requests-Reset"] == str((int(linear.clock()) + 30) * 1000)
