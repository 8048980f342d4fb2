"""The simulated activities keep the rules of SentinelOne's console API 2.1."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.sentinelone import SentinelOne
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://acme.sentinelone.net/web/api/v2.1/activities"

sentinelone = served(SentinelOne)


def ask(sentinelone: SentinelOne, auth: str | None = None, **query: Any) -> requests.Response:
    right = f"ApiToken {sentinelone.params['token']}"
    return call(sentinelone, URL, query, headers={"Authorization": right if auth is None else auth})


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_cursors_lead_through_everything_once_and_the_last_page_has_none(sentinelone: SentinelOne, order: str) -> None:
    events = ids(sentinelone.emitter.emit(5))
    pages, cursor = [], {}
    for _ in range(3):
        answer = ask(sentinelone, sortBy="createdAt", sortOrder=order, limit=2, **cursor)
        pages.append(found(answer))
        assert answer.json()["pagination"]["totalItems"] == 5
        cursor = {"cursor": answer.json()["pagination"]["nextCursor"]}
    assert cursor == {"cursor": None}
    assert list(chain(*pages)) == (events if order == "asc" else events[::-1])


def test_ids_are_digits_that_no_float_holds_and_times_have_microseconds(sentinelone: SentinelOne) -> None:
    (event,) = sentinelone.emitter.emit(1)
    assert int(event.id) > 2**53
    assert len(ask(sentinelone).json()["data"][0]["createdAt"]) == len("2026-05-02T09:14:07.221120Z")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"createdAt__gte": 20}, [0, 1, 2]),
        ({"createdAt__gt": 20}, [1, 2]),
        ({"createdAt__gte": 20, "createdAt__lt": 10}, [0, 1]),
        ({"createdAt__gte": 20, "createdAt__lte": 10}, [0, 1, 2]),
    ],
)
def test_bounds_are_named_by_what_they_let_in(
    sentinelone: SentinelOne, clock: Clock, bounds: dict[str, int], expected: list[int]
) -> None:
    events = [sentinelone.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (20, 15, 10)]
    query = {name: rfc3339_ms(clock.ago_ms(ago)) for name, ago in bounds.items()}
    assert found(ask(sentinelone, sortOrder="asc", **query)) == [events[number] for number in expected]


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 1001}, {"createdAt__gte": "1772442847000"}, {"since": "x"}, {"sortOrder": "up"}, {"cursor": "abc"}],
)
def test_a_wrong_question_is_refused(sentinelone: SentinelOne, wrong: dict[str, Any]) -> None:
    answer = ask(sentinelone, **wrong)
    assert (answer.status_code, answer.json()["errors"][0]["title"]) == (400, "Validation Error")


def test_a_cursor_keeps_its_filters_and_may_be_over(sentinelone: SentinelOne) -> None:
    sentinelone.emitter.emit(3)
    cursor = ask(sentinelone, limit=1).json()["pagination"]["nextCursor"]
    assert ask(sentinelone, cursor=cursor, sortOrder="asc").status_code == 400
    sentinelone.faults.plan("expired")
    assert ask(sentinelone, cursor=cursor).status_code == 400
    assert len(found(ask(sentinelone, cursor=cursor))) == 2


@pytest.mark.parametrize("auth", ["ApiToken bad", f"Bearer {SentinelOne.params['token']}", ""])
def test_another_token_or_scheme_is_refused(sentinelone: SentinelOne, auth: str) -> None:
    assert ask(sentinelone, auth).status_code == 401


def test_a_used_up_quota_tells_no_wait(clock: Clock) -> None:
    with serving(SentinelOne(clock=clock, per_minute=0)) as sentinelone:
        answer = ask(sentinelone)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (429, None)
