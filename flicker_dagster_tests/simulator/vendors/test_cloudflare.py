"""The simulated audit logs keep the rules of Cloudflare's documentation, v2 and v1."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.cloudflare import Cloudflare
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

ACCOUNT = f"https://api.cloudflare.com/client/v4/accounts/{Cloudflare.params['account_id']}"
V2, V1 = f"{ACCOUNT}/logs/audit", f"{ACCOUNT}/audit_logs"
SPAN = {"since": "2026-03-01", "before": "2026-03-03T00:00:00Z"}

cloudflare = served(Cloudflare)


def ask(
    cloudflare: Cloudflare, url: str = V2, token: str = Cloudflare.params["token"], **query: Any
) -> requests.Response:
    return call(cloudflare, url, query, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    assert answer.json()["success"] is True, answer.text
    return [row["id"] for row in answer.json()["result"]]


@pytest.mark.parametrize("direction", ["desc", "asc"])
def test_version_2_ends_with_an_empty_page_for_a_cursor_stands_beside_the_last_row_too(
    cloudflare: Cloudflare, direction: str
) -> None:
    events = ids(cloudflare.emitters["v2"].emit(5))
    pages, cursor = [], {}
    for _ in range(4):
        answer = ask(cloudflare, limit=2, direction=direction, **SPAN, **cursor)
        info = answer.json()["result_info"]
        pages.append(found(answer))
        assert info["count"] == str(len(pages[-1]))
        cursor = {"cursor": info["cursor"]} if "cursor" in info else {}
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert cursor == {}
    assert list(chain(*pages)) == (events if direction == "asc" else events[::-1])


def test_newer_answers_nest_the_cursor(clock: Clock) -> None:
    with serving(Cloudflare(clock=clock, nested_cursor=True)) as cloudflare:
        cloudflare.emitter.emit(1)
        assert ask(cloudflare, **SPAN).json()["result_info"]["cursors"]["after"]


def test_version_1_is_numbered_newest_first_until_it_is_empty(cloudflare: Cloudflare) -> None:
    events = ids(cloudflare.emitters["v1"].emit(3))
    pages = [found(ask(cloudflare, V1, page=page, per_page=2, **SPAN)) for page in (1, 2, 3)]
    assert pages == [[events[2], events[1]], [events[0]], []]


@pytest.mark.parametrize("inclusive", [False, True])
def test_bounds_are_whole_seconds_that_belong_to_the_span_or_not(clock: Clock, inclusive: bool) -> None:
    with serving(Cloudflare(clock=clock, inclusive=inclusive)) as cloudflare:
        first, inner, last = (cloudflare.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (19.3, 15, 9.3))
        since, before = rfc3339_ms(clock.ago_ms(20)), rfc3339_ms(clock.ago_ms(10))
        expected = [last, inner, first] if inclusive else [inner]
        assert found(ask(cloudflare, since=since, before=before)) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"before": None},
        {"since": "yesterday"},
        {"since": "2026-03-04"},
        {"limit": 1001},
        {"direction": "up"},
        {"per_page": 10},
        {"cursor": "abc"},
    ],
)
def test_a_wrong_question_is_refused(cloudflare: Cloudflare, wrong: dict[str, Any]) -> None:
    answer = ask(cloudflare, **(SPAN | wrong))
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_a_cursor_belongs_to_its_question_and_may_be_over(cloudflare: Cloudflare) -> None:
    cloudflare.emitter.emit(3)
    cursor = ask(cloudflare, limit=1, **SPAN).json()["result_info"]["cursor"]
    assert ask(cloudflare, cursor=cursor, **(SPAN | {"since": "2026-02-28"})).status_code == 400
    cloudflare.faults.plan("expired")
    assert ask(cloudflare, cursor=cursor, **SPAN).status_code == 400
    assert ask(cloudflare, cursor=cursor, **SPAN).status_code == 200


def test_credentials_paths_and_hosts(cloudflare: Cloudflare) -> None:
    assert ask(cloudflare, token="bad", **SPAN).json()["errors"][0]["code"] == 10000
    assert call(cloudflare, V2, SPAN).status_code == 400
    assert ask(cloudflare, V2.replace("api.", "dash."), **SPAN).status_code == 404
    assert ask(cloudflare, V2.replace("4bb", "5cc"), **SPAN).status_code == 404


def test_a_used_up_quota_tells_the_wait(clock: Clock) -> None:
    with serving(Cloudflare(clock=clock, per_minute=1)) as cloudflare:
        assert ask(cloudflare, **SPAN).status_code == 200
        answer = ask(cloudflare, **SPAN)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
