"""The simulated activity logs keep the rules of Figma's REST API."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.figma import Figma
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL, TOKEN_URL = "https://api.figma.com/v1/activity_logs", "https://api.figma.com/v1/oauth/refresh"
GRANT = {"refresh_token": Figma.params["refresh_token"]}
CLIENT = (Figma.params["client_id"], Figma.params["client_secret"])

figma = served(Figma)


def ask(figma: Figma, **query: Any) -> requests.Response:
    return call(figma, URL, query, headers=bearer(figma.minting.mint()))


def found(answer: Any) -> list[str]:
    return [log["id"] for log in answer["meta"]["activity_logs"]]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_cursor_leads_through_everything(figma: Figma, order: str) -> None:
    events = figma.emitter.emit(5)

    def following(answer: Any) -> Any:
        meta = answer["meta"]
        return ask(figma, order=order, limit=2, cursor=meta["cursor"]).json() if meta["next_page"] else None

    answers = list(walked(ask(figma, order=order, limit=2).json(), following))
    assert [len(found(answer)) for answer in answers] == [2, 2, 1]
    listed = [each for answer in answers for each in found(answer)]
    assert listed == ids(events if order == "asc" else events[::-1])


def test_the_last_cursor_is_polled_with_and_an_empty_page_has_none(figma: Figma, clock: Clock) -> None:
    figma.emitter.emit(2)
    cursor = ask(figma).json()["meta"]["cursor"]
    nothing = ask(figma, cursor=cursor).json()
    assert nothing == {"status": 200, "error": False, "meta": {"activity_logs": [], "next_page": False}}
    clock.move(1)
    (event,) = figma.emitter.emit(1)
    assert found(ask(figma, cursor=cursor).json()) == [event.id]


def test_times_are_whole_seconds_and_a_year_is_the_default(figma: Figma, clock: Clock) -> None:
    figma.emitter.emit(1, at_ms=clock.ago_ms(400 * DAY_S))
    events = [figma.emitter.emit(1, at_ms=clock.ago_ms(20) + ms)[0] for ms in (-1, 0, 999, 1000)]
    second = clock.ago_ms(20) // 1000
    assert found(ask(figma, start_time=second, end_time=second).json()) == ids(events[1:3])
    assert found(ask(figma).json()) == ids(events)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "1001"}, {"order": "up"}, {"since": "1"}, {"start_time": "1772442847000"}, {"cursor": "x"},
        {"start_time": "2026-03-01T00:00:00Z"}, {"start_time": "1772442848", "end_time": "1772442847"},
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused(figma: Figma, query: dict[str, str]) -> None:
    answer = ask(figma, **query)
    assert (answer.status_code, answer.json()["error"]) == (400, True)


def test_a_cursor_expires(figma: Figma) -> None:
    figma.emitter.emit(2)
    cursor = ask(figma, limit=1).json()["meta"]["cursor"]
    figma.faults.plan("expired")
    assert ask(figma, cursor=cursor).status_code == 400


def test_a_token_is_had_for_the_refresh_token_and_lives_90_days(figma: Figma, clock: Clock) -> None:
    answer = call(figma, TOKEN_URL, method="POST", data=GRANT, auth=CLIENT).json()
    assert answer["expires_in"] == 90 * DAY_S
    assert call(figma, URL, headers=bearer(answer["access_token"])).status_code == 200
    clock.move(90 * DAY_S)
    assert call(figma, URL, headers=bearer(answer["access_token"])).status_code == 401
    assert call(figma, TOKEN_URL, method="POST", data={"refresh_token": "x"}, auth=CLIENT).status_code == 400
    assert call(figma, TOKEN_URL, method="POST", data=GRANT, auth=(CLIENT[0], "x")).status_code == 401
    assert (
        call(figma, "https://www.figma.com/v1/activity_logs", headers=bearer(figma.minting.mint())).status_code == 404
    )


def test_the_quota_is_refused_with_retry_after(clock: Clock) -> None:
    with serving(Figma(per_minute=1, clock=clock)) as figma:
        assert ask(figma).status_code == 200
        answer = ask(figma)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
