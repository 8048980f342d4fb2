"""The simulated activities keep the rules of https://developer.pingidentity.com/pingone-api/platform/audit-activities.html."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.pingone import PATH, TOKEN_PATH, PingOne
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = f"https://api.pingone.com{PATH}"

pingone = served(PingOne)


def token(pingone: PingOne, **form: str) -> requests.Response:
    sent = {"grant_type": "client_credentials", "client_id": pingone.params["client_id"]}
    sent |= {"client_secret": pingone.params["client_secret"]} | form
    return call(pingone, f"https://auth.pingone.com{TOKEN_PATH}", method="POST", data=sent)


def ask(pingone: PingOne, url: str = URL, bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(pingone).json()["access_token"]
    return call(pingone, url, query, headers={"Authorization": f"Bearer {bearer}"})


def since(ms: int) -> str:
    return f'recordedAt gt "{rfc3339_ms(ms)}"'


def walked(pingone: PingOne, **query: Any) -> list[list[str]]:
    answer = ask(pingone, **query).json()
    pages = [[event["id"] for event in answer["_embedded"]["activities"]]]
    while "next" in answer["_links"]:
        answer = ask(pingone, answer["_links"]["next"]["href"]).json()
        pages.append([event["id"] for event in answer["_embedded"]["activities"]])
    return pages


def test_the_newest_come_first_and_pages_are_linked(pingone: PingOne, clock: Clock) -> None:
    events = pingone.emitter.emit(5)
    pages = walked(pingone, filter=since(clock.ago_ms(60)), limit=2)
    assert [each for page in pages for each in page] == ids(events[::-1])
    assert [len(page) for page in pages] == [2, 2, 1]
    assert walked(pingone, filter=since(clock.now_ms)) == [[]]
    pingone.faults.plan("wrong_host", after=1)
    links = ask(pingone, filter=since(clock.ago_ms(60)), limit=2).json()["_links"]
    assert [link["href"].partition("/v1")[0] for link in links.values()] == [
        "https://api.pingone.com",
        "http://evil.invalid",
    ]


def test_both_operators_are_exclusive_and_late_rows_tell_when_they_were_stored(pingone: PingOne, clock: Clock) -> None:
    first, _, _ = (pingone.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 60, 0))
    span = f'{since(clock.ago_ms(60))} AND recordedAt lt "{rfc3339_ms(clock.now_ms)}"'
    assert walked(pingone, filter=span) == [[first.id]]
    (late,) = pingone.emitter.emit(1, at_ms=clock.ago_ms(40), visible_ms=clock.now_ms + 1_000)
    clock.move(1)
    row = ask(pingone, filter=span).json()["_embedded"]["activities"][1]
    assert row["id"] == late.id
    assert parse_time_ms(row["createdAt"]) == clock.now_ms + 16


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"filter": "recordedAt gt 2026-03-02T08:00:00Z"},
        {"filter": 'recordedAt ge "2026-03-02T08:00:00Z"'},
        {"filter": 'createdAt gt "2026-03-02T08:00:00Z"'},
        {"filter": 'recordedAt gt "2024-03-01T08:00:00Z"'},
        {"filter": since(parse_time_ms("2026-03-02T08:00:00Z") or 0), "limit": 501},
        {"filter": since(parse_time_ms("2026-03-02T08:00:00Z") or 0), "cursor": "made-up"},
        {"filter": since(parse_time_ms("2026-03-02T08:00:00Z") or 0), "page": 1},
    ],
)
def test_what_cannot_be_asked_is_refused(pingone: PingOne, query: dict[str, Any]) -> None:
    answer = ask(pingone, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")


def test_inclusive_operators_where_an_account_has_them(clock: Clock) -> None:
    with serving(PingOne(clock=clock, inclusive_filters=True)) as pingone:
        (event,) = pingone.emitter.emit(1)
        time = rfc3339_ms(clock.now_ms)
        assert walked(pingone, filter=f'recordedAt ge "{time}" and recordedAt le "{time}"') == [[event.id]]


def test_tokens_come_from_their_own_server_and_end(pingone: PingOne, clock: Clock) -> None:
    assert token(pingone, client_secret="wrong").status_code == 401
    assert call(pingone, f"https://api.pingone.com{TOKEN_PATH}", method="POST").status_code == 401
    bearer = token(pingone).json()["access_token"]
    query = {"filter": since(clock.ago_ms(2 * DAY_S))}
    assert ask(pingone, bearer=bearer, **query).status_code == 200
    pingone.faults.plan("401")
    assert [ask(pingone, bearer=bearer, **query).status_code for _ in range(2)] == [401, 401]
    pingone.per_minute = 0
    assert ask(pingone, **query).json()["code"] == "REQUEST_LIMITED"
