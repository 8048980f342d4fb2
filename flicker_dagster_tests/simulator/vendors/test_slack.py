"""The simulated Audit Logs API keeps the rules of Slack's documentation."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.slack import Slack
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://api.slack.com/audit/v1/logs"

slack = served(Slack)


def logs(slack: Slack, *, token: str = Slack.params["token"], **query: Any) -> requests.Response:
    return call(slack, URL, query, headers=bearer(token))


def walk(slack: Slack, **query: Any) -> list[list[str]]:
    def following(answer: Any) -> Any:
        cursor = answer["response_metadata"]["next_cursor"]
        return logs(slack, cursor=cursor, **query).json() if cursor else None

    return [[entry["id"] for entry in answer["entries"]] for answer in walked(logs(slack, **query).json(), following)]


def test_the_newest_come_first_page_by_page_and_an_empty_cursor_ends(slack: Slack, clock: Clock) -> None:
    events = [slack.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (40, 30, 20, 10, 0)]
    listed = walk(slack, limit=2)
    assert [len(page) for page in listed] == [2, 2, 1]
    assert [*chain(*listed)] == ids(events[::-1])


def test_a_page_holds_all_of_its_last_second(slack: Slack, clock: Clock) -> None:
    slack.emitter.emit(1, at_ms=clock.ago_ms(10))
    slack.emitter.emit(5)
    assert [len(page) for page in walk(slack, limit=2)] == [5, 1]


def test_both_edges_are_inclusive_to_the_second(slack: Slack, clock: Clock) -> None:
    events = [slack.emitter.emit(1, at_ms=clock.ago_ms(20) + ms)[0] for ms in (-1, 0, 999, 1000, 2000)]
    second = clock.ago_ms(20) // 1000
    entries = logs(slack, oldest=second, latest=second + 1).json()["entries"]
    assert [entry["id"] for entry in entries] == ids(events[3:0:-1])
    assert {entry["date_create"] for entry in entries} == {second, second + 1}


def test_a_cursor_does_not_remember_the_oldest(slack: Slack, clock: Clock) -> None:
    for ago_s in (4000, 3000, 20, 10):
        slack.emitter.emit(1, at_ms=clock.ago_ms(ago_s))
    oldest = clock.ago_ms(60) // 1000
    cursor = logs(slack, limit=1, oldest=oldest).json()["response_metadata"]["next_cursor"]
    assert len(logs(slack, cursor=cursor, oldest=oldest).json()["entries"]) == 1
    assert len(logs(slack, cursor=cursor).json()["entries"]) == 3


def test_an_empty_page_may_name_a_next_one(slack: Slack) -> None:
    slack.emitter.emit(3)
    slack.faults.plan("empty")
    assert [len(page) for page in walk(slack)] == [0, 3]


def test_actions_are_filtered(slack: Slack) -> None:
    slack.emitter.emit(40)
    answer = logs(slack, action="user_login,user_logout").json()
    assert {entry["action"] for entry in answer["entries"]} == {"user_login", "user_logout"}


@pytest.mark.parametrize(
    "query",
    [
        {"since": "1"}, {"oldest": "2026-03-01T00:00:00Z"}, {"oldest": "1772442847000"}, {"limit": "10000"},
        {"limit": "0"}, {"oldest": "1772442848", "latest": "1772442847"},
    ],
)  # fmt: skip
def test_a_senseless_argument_is_refused(slack: Slack, query: dict[str, str]) -> None:
    answer = logs(slack, **query)
    assert (answer.status_code, answer.json()) == (400, {"ok": False, "error": "invalid_arguments"})


def test_a_cursor_that_is_none_or_expired_is_refused(slack: Slack) -> None:
    slack.emitter.emit(1)
    assert logs(slack, cursor="1772442847").json()["error"] == "invalid_cursor"
    slack.faults.plan("expired")
    assert logs(slack, cursor="eyJiZWZvcmUiOlsxLDBdfQ").json()["error"] == "invalid_cursor"


def test_credentials_and_paths(slack: Slack) -> None:
    assert (logs(slack, token="xoxp-wrong").status_code, logs(slack, token="").json()["error"]) == (401, "not_authed")
    for elsewhere in ("https://slack.com/audit/v1/logs", "https://api.slack.com/api/logs"):
        assert call(slack, elsewhere, headers=bearer(Slack.params["token"])).status_code == 404


def test_the_quota_is_refused_with_retry_after_alone(clock: Clock) -> None:
    with serving(Slack(per_minute=1, clock=clock)) as slack:
        assert "X-RateLimit-Remaining" not in logs(slack).headers
        answer = logs(slack)
        assert (answer.status_code, answer.json()["error"]) == (429, "ratelimited")
        clock.move(int(answer.headers["Retry-After"]))
        assert logs(slack).status_code == 200
