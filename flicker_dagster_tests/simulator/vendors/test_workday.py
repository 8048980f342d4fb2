"""The simulated activity logging keeps the rules of Workday's privacy API as its clients know them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendor import content_of
from flicker_dagster.simulator.vendors.workday import Workday
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

HOST = "https://wd5-services1.myworkday.com"
URL, TOKEN_URL = f"{HOST}/ccx/api/privacy/v1/acme/activityLogging", f"{HOST}/ccx/oauth2/acme/token"

workday = served(Workday, instances=4)


def token(workday: Workday, *, url: str = TOKEN_URL, **form: str) -> requests.Response:
    named = {name: workday.params[name] for name in ("client_id", "client_secret", "refresh_token")}
    return call(workday, url, method="POST", data={"grant_type": "refresh_token", **named, **form})


def ask(workday: Workday, bearer: str | None = None, **params: Any) -> requests.Response:
    now_ms = int(workday.clock() * 1000)
    span = {"from": rfc3339_ms(now_ms - 3_600_000), "to": rfc3339_ms(now_ms + 1)}
    bearer = bearer or token(workday).json()["access_token"]
    return call(workday, URL, span | params, headers={"Authorization": f"Bearer {bearer}"})


def found(answer: requests.Response) -> list[str]:
    return [content_of(row) for row in answer.json()["data"]]


def test_offsets_walk_what_a_span_is_cut_off_to(workday: Workday) -> None:
    events = ids(workday.emitter.emit(7))
    pages = [ask(workday, limit=3, offset=offset) for offset in (0, 3, 6)]
    assert [found(page) for page in pages] == [events[:3], events[3:4], []]
    assert pages[0].json()["total"] == 4
    assert found(ask(workday, instancesReturned=2)) == events


def test_the_span_is_half_open(workday: Workday, clock: Clock) -> None:
    events = [workday.emitter.emit(1, at_ms=clock.ago_ms(n))[0] for n in (40, 30, 20)]
    span = {"from": rfc3339_ms(clock.ago_ms(40)), "to": rfc3339_ms(clock.ago_ms(20))}
    assert found(ask(workday, **span)) == ids(events[:2])


@pytest.mark.parametrize(
    "params",
    [
        {"from": None},
        {"to": None},
        {"from": "2026-03-02T00:00:00Z"},
        {"to": "2026-03-01T00:00:00.000Z"},
        {"instancesReturned": 26},
        {"limit": 1001},
        {"offset": -1},
        {"page": 2},
    ],
)
def test_what_it_does_not_take_is_refused(workday: Workday, params: dict[str, Any]) -> None:
    assert ask(workday, **params).status_code == 400


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_secret": "bad"}, "invalid_client"),
        ({"refresh_token": "bad"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"url": TOKEN_URL.replace("wd5", "wd3")}, "invalid_request"),
    ],
)
def test_a_wrong_request_gets_no_token(workday: Workday, form: dict[str, str], error: str) -> None:
    assert token(workday, **form).json()["error"] == error


def test_tokens_end_and_refresh_tokens_may_rotate(clock: Clock) -> None:
    with serving(Workday(clock=clock, rotates=True)) as workday:
        granted = token(workday).json()
        assert token(workday).json()["error"] == "invalid_grant"
        assert token(workday, refresh_token=granted["refresh_token"]).status_code == 200
        assert workday.minting.minted == 2
        assert ask(workday, granted["access_token"]).status_code == 200
        assert ask(workday, granted["refresh_token"]).status_code == 401
        clock.move(3601)
        assert ask(workday, granted["access_token"]).status_code == 401


def test_the_quota_says_how_long_to_wait(workday: Workday) -> None:
    bearer = token(workday).json()["access_token"]
    workday.per_minute = 0
    refused = ask(workday, bearer)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
