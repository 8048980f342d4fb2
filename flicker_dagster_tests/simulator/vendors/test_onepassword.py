"""The simulated Events API keeps the rules of https://developer.1password.com/docs/events-api/reference/."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.onepassword import OnePassword
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://events.1password.com/api/v2/"

onepassword = served(OnePassword)


def ask(
    vendor: OnePassword, body: Any, *, feed: str = "auditevents", authorization: str | None = None
) -> requests.Response:
    headers = {"Authorization": authorization or f"Bearer {vendor.params['token']}"}
    return call(vendor, URL + feed, method="POST", headers=headers, json=body)


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["uuid"] for event in answer.json()["items"]]


def test_a_walk_follows_the_cursor_until_there_is_no_more_and_goes_on_from_it_later(
    onepassword: OnePassword, clock: Clock
) -> None:
    events = onepassword.emitter.emit(5)
    answers = [ask(onepassword, {"limit": 2, "start_time": rfc3339_ms(clock.now_ms)})]
    while answers[-1].json()["has_more"]:
        answers.append(ask(onepassword, {"cursor": answers[-1].json()["cursor"]}))
    assert [len(listed(answer)) for answer in answers] == [2, 2, 1]
    assert [each for answer in answers for each in listed(answer)] == ids(events)
    empty = ask(onepassword, {"cursor": answers[-1].json()["cursor"]}).json()
    assert (empty["items"], empty["has_more"]) == ([], False)
    clock.move(DAY_S)
    late = onepassword.emitter.emit(1, at_ms=clock.ago_ms(3600)) + onepassword.emitter.emit(1)
    assert listed(ask(onepassword, {"cursor": empty["cursor"]})) == ids(late)


def test_bounds_are_inclusive_and_an_hour_is_listed_without_any(onepassword: OnePassword, clock: Clock) -> None:
    old, inner, last = (onepassword.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (7200, 3600, 60))
    times = {"start_time": rfc3339_ms(old.published_ms), "end_time": rfc3339_ms(inner.published_ms)}
    assert listed(ask(onepassword, times)) == ids([old, inner])
    assert listed(ask(onepassword, {})) == ids([inner, last])


@pytest.mark.parametrize("feed", ["auditevents", "itemusages", "signinattempts"])
def test_every_feed_has_its_own_events_with_uuid_and_time(onepassword: OnePassword, clock: Clock, feed: str) -> None:
    streams: dict[str, str] = dict(zip(("auditevents", "itemusages", "signinattempts"), onepassword.streams))
    onepassword.emitters[streams[feed]].emit(1)
    (event,) = ask(onepassword, {"limit": 10}, feed=feed).json()["items"]
    assert parse_time_ms(event["timestamp"]) == clock.now_ms
    assert len(event["uuid"]) == 26


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "100"},
        {"start_time": "yesterday"},
        {"start_time": "2026-03-02T09:00:00"},
        {"start_time": "2026-03-02T09:00:01Z"},
        {"start_time": "2026-03-02T08:00:00Z", "end_time": "2026-03-02T07:00:00Z"},
        {"cursor": "made-up"},
        {"page_size": 10},
        [],
    ],
)
def test_a_body_that_makes_no_sense_is_refused(onepassword: OnePassword, body: Any) -> None:
    answer = ask(onepassword, body)
    assert (answer.status_code, "Bad Request" in answer.json()["Error"]["Message"]) == (400, True)


def test_a_cursor_stands_alone_and_belongs_to_its_feed(onepassword: OnePassword) -> None:
    cursor = ask(onepassword, {"limit": 10}).json()["cursor"]
    assert ask(onepassword, {"cursor": cursor, "limit": 10}).status_code == 400
    assert ask(onepassword, {"cursor": cursor}, feed="itemusages").status_code == 400
    onepassword.faults.plan("expired")
    assert ask(onepassword, {"cursor": cursor}).status_code == 400


def test_an_empty_page_may_have_more_behind_it(onepassword: OnePassword) -> None:
    (event,) = onepassword.emitter.emit(1)
    onepassword.faults.plan("empty")
    empty = ask(onepassword, {"limit": 10}).json()
    assert (empty["items"], empty["has_more"]) == ([], True)
    assert listed(ask(onepassword, {"cursor": empty["cursor"]})) == [event.id]


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Basic wrong", "wrong"])
def test_another_token_is_refused(onepassword: OnePassword, authorization: str) -> None:
    assert ask(onepassword, {}, authorization=authorization).status_code == 401


def test_the_method_is_post_and_the_quota_has_no_headers(clock: Clock) -> None:
    with serving(OnePassword(clock=clock, per_minute=1)) as vendor:
        assert ask(vendor, {}).status_code == 200
        refused = ask(vendor, {})
        assert refused.status_code == 429
        assert not [name for name in refused.headers if "limit" in name.lower() or name.lower() == "retry-after"]
        clock.move(60)
        headers = bearer(vendor.params["token"])
        assert call(vendor, URL + "auditevents", headers=headers).status_code == 405
