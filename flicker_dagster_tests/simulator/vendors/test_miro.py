"""The simulated audit logs keep the rules of Miro's API specification."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.miro import Miro
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://api.miro.com/v2/audit/logs"

miro = served(Miro)


def ask(
    miro: Miro, ago_s: float = 3600, until_s: float = -1, *, token: str = Miro.params["token"], **params: Any
) -> requests.Response:
    now_ms = int(miro.clock() * 1000)
    span = {
        "createdAfter": rfc3339_ms(now_ms - int(ago_s * 1000)),
        "createdBefore": rfc3339_ms(now_ms - int(until_s * 1000)),
    }
    return call(miro, URL, span | params, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    return [row["id"] for row in answer.json()["data"]]


@pytest.mark.parametrize("sorting", ["ASC", "DESC"])
def test_a_cursor_leads_through_events_of_one_millisecond(miro: Miro, sorting: str) -> None:
    events = ids(miro.emitter.emit(5))
    answer = ask(miro, limit=2, sorting=sorting)
    walked = found(answer)
    while "cursor" in answer.json():
        assert "#" in answer.json()["cursor"]
        answer = ask(miro, limit=2, sorting=sorting, cursor=answer.json()["cursor"])
        walked += found(answer)
    assert walked == (events if sorting == "ASC" else events[::-1])
    assert answer.json()["size"] == 1
    assert answer.json()["data"][0]["createdAt"] == "2026-03-02T09:00:00.000+0000"


def test_the_span_is_half_open_and_kept_90_days(miro: Miro, clock: Clock) -> None:
    events = [miro.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    assert found(ask(miro, 40, 20)) == ids(events[:2])
    clock.move(91 * DAY_S)
    assert found(ask(miro, 100 * DAY_S)) == []


def test_the_end_may_be_a_null() -> None:
    with serving(Miro(clock=Clock(), end="null")) as miro:
        assert ask(miro).json()["cursor"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"createdAfter": None},
        {"createdBefore": None},
        {"createdAfter": "2026-03-02T00:00:00Z"},
        {"createdBefore": "2026-03-01T00:00:00.000Z"},
        {"limit": 101},
        {"sorting": "asc"},
        {"cursor": "2026-03-02T09:00:00.000000Z#1-DDB"},
        {"since": 1},
    ],
)
def test_what_it_does_not_take_is_refused(miro: Miro, params: dict[str, Any]) -> None:
    answer = ask(miro, **params)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalidParameters")


def test_credentials_and_quota(miro: Miro) -> None:
    assert ask(miro, token="bad").status_code == 401
    miro.faults.plan("429", seconds=30)
    refused = ask(miro)
    assert (refused.status_code, refused.headers["X-RateLimit-Reset"]) == (429, str(int(miro.clock()) + 30))
    assert "Retry-After" not in refused.headers
