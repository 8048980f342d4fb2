"""The simulated reports keep the rules of Zoom's documentation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendor import content_of
from flicker_dagster.simulator.vendors.zoom import Zoom
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

PARAMS = Zoom.params
TOKEN_URL = "https://zoom.us/oauth/token"
BASIC = (PARAMS["client_id"], PARAMS["client_secret"])
GRANT = {"grant_type": "account_credentials", "account_id": PARAMS["account_id"]}
TODAY = {"from": "2026-03-02", "to": "2026-03-02"}

zoom = served(Zoom)


def token(zoom: Zoom) -> str:
    return call(zoom, TOKEN_URL, GRANT, method="POST", auth=BASIC).json()["access_token"]


def report(
    zoom: Zoom, token: str | None = None, *, kind: str = "activities", span: dict[str, str] = TODAY, **query: Any
) -> requests.Response:
    headers = bearer(token or zoom.minting.mint())
    return call(zoom, f"https://api.zoom.us/v2/report/{kind}", span | query, headers=headers)


@pytest.mark.parametrize(
    ("kind", "field", "stream"),
    [
        ("activities", "activity_logs", "sign_in_activities"),
        ("operationlogs", "operation_logs", "operation_logs"),
    ],
)
def test_each_report_is_walked_newest_first_with_every_equal_row(
    zoom: Zoom, clock: Clock, kind: str, field: str, stream: str
) -> None:
    for ago_s in (30, 20, 10):
        zoom.emitters[stream].emit(8, at_ms=clock.ago_ms(ago_s))

    def following(answer: Any) -> Any:
        page_token = answer["next_page_token"]
        return report(zoom, kind=kind, page_size=10, next_page_token=page_token).json() if page_token else None

    answers = list(walked(report(zoom, kind=kind, page_size=10).json(), following))
    listed = [row for answer in answers for row in answer[field]]
    assert [len(answer[field]) for answer in answers] == [10, 10, 4]
    assert [row["time"] for row in listed] == sorted((row["time"] for row in listed), reverse=True)
    assert Counter(content_of(row) for row in listed) == Counter(ids(zoom.emitters[stream].emitted()))
    assert max(Counter(content_of(row) for row in listed).values()) > 1


def test_days_are_whole_and_inclusive_and_a_time_of_day_is_ignored(zoom: Zoom) -> None:
    for text in ("2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z"):
        zoom.emitter.emit(1, at_ms=parse_time_ms(text))
    answer = report(zoom, span={"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:00:00Z"}).json()
    assert [row["time"] for row in answer["activity_logs"]] == ["2026-03-01T23:59:59Z", "2026-03-01T00:00:00Z"]


@pytest.mark.parametrize(
    ("span", "query"),
    [
        ({"from": "2026-03-02"}, {}), ({"from": "1772409600", "to": "1772409600"}, {}),
        ({"from": "2026-01-15", "to": "2026-03-01"}, {}), ({"from": "2025-08-01", "to": "2025-08-10"}, {}),
        ({"from": "2026-03-02", "to": "2026-03-01"}, {}), ({"from": "2026-03-02", "to": "2026-03-03"}, {}),
        (TODAY, {"page_size": 301}), (TODAY, {"limit": 10}), (TODAY, {"next_page_token": "2"}),
        (TODAY, {"category_type": "User"}),
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused_with_code_300(zoom: Zoom, span: dict[str, str], query: dict[str, Any]) -> None:
    answer = report(zoom, span=span, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, 300)


def test_a_page_token_dies_after_15_minutes_and_belongs_to_its_question(zoom: Zoom, clock: Clock) -> None:
    zoom.emitter.emit(3)
    page_token = report(zoom, page_size=1).json()["next_page_token"]
    assert report(zoom, page_size=1, next_page_token=page_token).status_code == 200
    assert report(zoom, page_size=2, next_page_token=page_token).json()["code"] == 300
    clock.move(900)
    assert report(zoom, page_size=1, next_page_token=page_token).json()["code"] == 300


def test_a_token_is_had_with_parameters_in_the_address_or_the_body_and_lives_an_hour(zoom: Zoom, clock: Clock) -> None:
    answer = call(zoom, TOKEN_URL, method="POST", data=GRANT, auth=BASIC).json()
    assert (answer["expires_in"], answer["token_type"]) == (3600, "bearer")
    assert report(zoom, answer["access_token"]).status_code == report(zoom, token(zoom)).status_code == 200
    clock.move(3600)
    dead = report(zoom, answer["access_token"])
    assert (dead.status_code, dead.json()["code"]) == (401, 124)


@pytest.mark.parametrize(
    ("changed", "basic", "error"),
    [
        ({"grant_type": "client_credentials"}, BASIC, "unsupported_grant_type"),
        ({"account_id": "other"}, BASIC, "invalid_request"),
        ({}, (BASIC[0], "wrong"), "invalid_client"),
    ],
)
def test_no_token_is_given_out(zoom: Zoom, changed: dict[str, str], basic: tuple[str, str], error: str) -> None:
    answer = call(zoom, TOKEN_URL, GRANT | changed, method="POST", auth=basic)
    assert (answer.status_code, answer.json()["error"], zoom.minting.minted) == (400, error, 0)


def test_hosts_and_scopes(clock: Clock) -> None:
    with serving(Zoom(scopes="meeting:read", clock=clock)) as zoom:
        assert report(zoom).json()["code"] == 4711
        assert (
            call(zoom, "https://zoom.us/v2/report/activities", headers=bearer(zoom.minting.mint())).status_code == 404
        )
        assert call(zoom, "https://api.zoom.us/oauth/token", GRANT, method="POST", auth=BASIC).status_code == 401


def test_the_daily_limit_says_its_end_as_an_iso_time(clock: Clock) -> None:
    with serving(Zoom(per_minute=1, clock=clock)) as zoom:
        assert report(zoom).headers["X-RateLimit-Category"] == "Heavy"
        answer = report(zoom)
        assert (answer.status_code, answer.headers["X-RateLimit-Type"]) == (429, "Daily-limit")
        assert parse_time_ms(answer.headers["Retry-After"], "rfc3339") == clock.now_ms + 60_000
        clock.move(DAY_S)
        assert report(zoom, span={"from": "2026-03-03", "to": "2026-03-03"}).status_code == 200
