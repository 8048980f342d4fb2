"""The simulated feed keeps the rules of the Office 365 Management Activity API reference."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.vendors.microsoft_365 import Microsoft365
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

TENANT = Microsoft365.params["tenant_id"]
FEED = f"https://manage.office.com/api/v1.0/{TENANT}/activity/feed"
LOGIN = "https://login.microsoftonline.com"
KIND = "Audit.AzureActiveDirectory"

office = served(Microsoft365, blobs_per_page=2)


def token(office: Microsoft365, path: str = f"/{TENANT}/oauth2/v2.0/token", **form: str) -> requests.Response:
    sent = {"grant_type": "client_credentials", "scope": "https://manage.office.com/.default"}
    sent |= {name: office.params[name] for name in ("client_id", "client_secret")}
    return call(office, LOGIN + path, method="POST", data=sent | form)


def ask(office: Microsoft365, url: str, *, method: str = "GET", bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(office).json()["access_token"]
    url = url if url.startswith("https:") else FEED + url
    return call(office, url, query, method=method, headers={"Authorization": f"Bearer {bearer}"})


def start(office: Microsoft365, kind: str = KIND) -> requests.Response:
    return ask(office, "/subscriptions/start", method="POST", contentType=kind)


def span(clock: Clock, ago_s: float, until_s: float = 0) -> dict[str, str]:
    times = {"startTime": clock.ago_ms(ago_s), "endTime": clock.ago_ms(until_s)}
    return {name: f"{datetime_of(ms):%Y-%m-%dT%H:%M:%S}" for name, ms in times.items()}


def listed(office: Microsoft365, **query: str) -> list[list[dict[str, str]]]:
    answer = ask(office, "/subscriptions/content", contentType=KIND, **query)
    pages = [answer.json()]
    while "NextPageUri" in answer.headers:
        answer = ask(office, answer.headers["NextPageUri"])
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
    return pages


def records(office: Microsoft365, pages: list[list[dict[str, str]]]) -> list[str]:
    return [record["Id"] for page in pages for blob in page for record in ask(office, blob["contentUri"]).json()]


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_subscription_is_started_once_and_listed(office: Microsoft365, clock: Clock) -> None:
    assert code(ask(office, "/subscriptions/content", contentType=KIND)) == (400, "AF20022")
    assert start(office).json() == {"contentType": KIND, "status": "enabled", "webhook": None}
    assert code(start(office)) == (403, "AF429")
    clock.move(900)
    assert code(start(office)) == (400, "AF20024")
    assert ask(office, "/subscriptions/list").json()[0]["status"] == "enabled"


def test_every_record_is_in_the_blobs_of_all_pages_some_twice_and_in_no_order(
    office: Microsoft365, clock: Clock
) -> None:
    start(office)
    events = office.emitter.emit(120)
    repeated = office.emitter.emit(2, copies=2)
    clock.move(5)
    pages = listed(office, **span(clock, 60))
    met = records(office, pages)
    assert max(map(len, pages)) == 2
    assert sorted(met) == sorted(ids(events) + 2 * ids(repeated))
    assert met[:25] != ids(events)[:25]
    assert set(office.fetched.values()) == {1}


def test_windows_are_half_open_on_when_content_became_available(office: Microsoft365, clock: Clock) -> None:
    start(office)
    (late,) = office.emitter.emit(1, at_ms=clock.ago_ms(7200), visible_ms=clock.now_ms)
    clock.move(60)
    assert records(office, listed(office, **span(clock, 120, 60))) == []
    assert records(office, listed(office, **span(clock, 60))) == [late.id]


def test_windows_that_join_hold_everything_that_arrived_before_their_end(clock: Clock) -> None:
    with serving(Microsoft365(clock=clock, rate=3, habits=Habits(late_share=0.1))) as office:
        start(office)
        met: set[str] = set()
        for _ in range(10):
            clock.move(7.3)
            met |= set(records(office, listed(office, **span(clock, clock.now_s % 1 + 7.3, 0))))
            whole_ms = clock.now_ms // 1000 * 1000
            assert {event.id for event in office.emitter.emitted() if event.visible_ms < whole_ms} <= met


@pytest.mark.parametrize(
    ("ago_s", "until_s", "expected"),
    [(DAY_S, 0, "AF20055"), (8 * DAY_S, 7.5 * DAY_S, "AF20030"), (60, 60, "AF20030"), (60, 120, "AF20030")],
)
def test_windows_that_are_too_wide_too_old_or_inverted_are_refused(
    office: Microsoft365, clock: Clock, ago_s: float, until_s: float, expected: str
) -> None:
    start(office)
    answer = ask(office, "/subscriptions/content", contentType=KIND, **span(clock, ago_s, until_s))
    assert code(answer) == (400, expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"startTime": "2026-03-02T08:00:00"}, "AF20030"),
        ({"startTime": "2026-03-02T08:00:00.000Z", "endTime": "2026-03-02T09:00:00Z"}, "AF20002"),
        ({"contentType": "Audit.Nothing"}, "AF20020"),
        ({"nextPage": "made-up"}, "AF20031"),
        ({"pageSize": "10"}, "AF20002"),
    ],
)
def test_what_cannot_be_asked_is_refused(office: Microsoft365, query: dict[str, str], expected: str) -> None:
    start(office)
    answer = ask(office, "/subscriptions/content", **({"contentType": KIND} | query))
    assert code(answer) == (400, expected)


def test_content_ends_after_seven_days_and_unknown_content_is_refused(office: Microsoft365, clock: Clock) -> None:
    start(office)
    office.emitter.emit(1)
    clock.move(1)
    uri = listed(office, **span(clock, 60))[0][0]["contentUri"]
    clock.move(7 * DAY_S)
    assert code(ask(office, uri)) == (400, "AF20051")
    assert code(ask(office, "/audit/unknown")) == (400, "AF20050")


def test_what_arrives_while_the_subscription_is_stopped_is_lost(office: Microsoft365, clock: Clock) -> None:
    start(office)
    assert ask(office, "/subscriptions/stop", method="POST", contentType=KIND).status_code == 204
    (lost,) = office.emitter.emit(1)
    clock.move(900)
    start(office)
    (kept,) = office.emitter.emit(1)
    clock.move(1)
    assert records(office, listed(office, **span(clock, 3600))) == [kept.id]
    assert [office.is_listed(office.streams[0], event.body) for event in (lost, kept)] == [False, True]


def test_a_blob_may_be_listed_again_days_later(clock: Clock) -> None:
    with serving(Microsoft365(clock=clock, again_after_s=5 * DAY_S)) as office:
        start(office)
        (event,) = office.emitter.emit(1)
        clock.move(5 * DAY_S + 1)
        assert records(office, listed(office, **span(clock, 60))) == [event.id]


def test_links_may_lead_elsewhere(office: Microsoft365, clock: Clock) -> None:
    start(office)
    office.emitter.emit(100)
    clock.move(1)
    office.faults.plan("wrong_host", after=1)
    answer = ask(office, "/subscriptions/content", contentType=KIND, **span(clock, 60))
    links = [answer.headers["NextPageUri"], *(blob["contentUri"] for blob in answer.json())]
    assert all(link.startswith("http://evil.invalid/api/v1") for link in links)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 400, "unauthorized_client"),
        ({"scope": "https://graph.microsoft.com/.default"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_login_brings_no_token(office: Microsoft365, form: dict[str, str], status: int, error: str) -> None:
    answer = token(office, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_tokens_of_both_versions_are_taken_until_they_end(office: Microsoft365, clock: Clock) -> None:
    old = token(office, f"/{TENANT}/oauth2/token", resource="https://manage.office.com").json()
    assert old["expires_in"] == "3599"
    assert ask(office, "/subscriptions/list", bearer=old["access_token"]).status_code == 200
    clock.move(3599)
    assert ask(office, "/subscriptions/list", bearer=old["access_token"]).status_code == 401
    office.per_minute = 0
    assert code(ask(office, "/subscriptions/list")) == (403, "AF429")
