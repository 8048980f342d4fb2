"""The simulated Directory Insights keep the rules of JumpCloud's Directory Insights API."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.jumpcloud import JumpCloud
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://api.jumpcloud.com/insights/directory/v1/events"

jumpcloud = served(JumpCloud)


def ask(jumpcloud: JumpCloud, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
    usual = {"service": ["all"], "start_time": rfc3339_ms(int(jumpcloud.clock() * 1000) - 3_600_000)}
    sent = {name: value for name, value in (usual | body).items() if value is not None}
    named = {"x-api-key": jumpcloud.params["api_key"], **(headers or {})}
    return call(jumpcloud, URL, method="POST", headers=named, json=sent)


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in answer.json()]


@pytest.mark.parametrize("sort", ["ASC", "DESC", "sideways"])
def test_a_walk_goes_on_from_the_header_until_a_page_is_short(jumpcloud: JumpCloud, clock: Clock, sort: str) -> None:
    events = jumpcloud.emitter.emit(3) + jumpcloud.emitter.emit(2, at_ms=clock.ago_ms(5))
    answer = ask(jumpcloud, limit=2, sort=sort)
    pages = [listed(answer)]
    while answer.headers["X-Result-Count"] == answer.headers["X-Limit"]:
        answer = ask(jumpcloud, limit=2, sort=sort, search_after=json.loads(answer.headers["X-Search_after"]))
        pages.append(listed(answer))
    expected = [event.id for event in sorted(events, key=lambda event: (event.published_ms, event.id))]
    assert [each for page in pages for each in page] == (expected[::-1] if sort == "DESC" else expected)
    assert "X-Search_after" in answer.headers


def test_the_start_is_inclusive_and_the_end_as_the_account_has_it(clock: Clock) -> None:
    for inclusive in (False, True):
        with serving(JumpCloud(clock=clock, end_inclusive=inclusive)) as jumpcloud:
            first, last = (jumpcloud.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (60, 30))
            span: dict[str, Any] = {
                "start_time": rfc3339_ms(first.published_ms),
                "end_time": rfc3339_ms(last.published_ms),
            }
            assert listed(ask(jumpcloud, **span)) == ids([first, last] if inclusive else [first])


def test_late_events_come_where_they_belong_and_old_ones_are_gone(jumpcloud: JumpCloud, clock: Clock) -> None:
    (late,) = jumpcloud.emitter.emit(1, at_ms=clock.ago_ms(60), visible_ms=clock.now_ms + 1_000)
    (early,) = jumpcloud.emitter.emit(1)
    assert listed(ask(jumpcloud)) == [early.id]
    clock.move(1)
    assert listed(ask(jumpcloud)) == [late.id, early.id]
    clock.move(91 * DAY_S)
    assert listed(ask(jumpcloud, start_time=rfc3339_ms(clock.ago_ms(100 * DAY_S)))) == []


def test_services_are_chosen_and_a_senseless_limit_is_the_usual_one(jumpcloud: JumpCloud) -> None:
    jumpcloud.emitter.emit(50)
    answer = ask(jumpcloud, service=["sso", "ldap"], limit=-1)
    assert {event["service"] for event in answer.json()} == {"sso", "ldap"}
    assert answer.headers["X-Limit"] == "1000"


@pytest.mark.parametrize(
    "body",
    [
        {"service": "all"},
        {"service": ["nothing"]},
        {"start_time": None},
        {"start_time": "2026-03-02T08:00:00"},
        {"start_time": "2026-03-02T09:00:01Z"},
        {"end_time": "2026-03-02T07:00:00Z"},
        {"search_after": "[1,2]"},
        {"page": 1},
    ],
)
def test_what_cannot_be_asked_is_refused(jumpcloud: JumpCloud, body: dict[str, Any]) -> None:
    assert ask(jumpcloud, **body).status_code == 400


def test_keys_organizations_and_the_quota(clock: Clock) -> None:
    with serving(JumpCloud(clock=clock, per_minute=1)) as jumpcloud:
        assert ask(jumpcloud, {"x-api-key": "wrong"}).status_code == 401
        assert ask(jumpcloud, {"x-org-id": "another"}).status_code == 403
        assert ask(jumpcloud, {"x-org-id": jumpcloud.org_id}).status_code == 200
        assert (ask(jumpcloud).status_code, ask(jumpcloud).headers["Retry-After"]) == (429, "60")


def test_an_administrator_of_several_organizations_says_which_one_is_meant(clock: Clock) -> None:
    with serving(JumpCloud(clock=clock, several_orgs=True)) as jumpcloud:
        refused = ask(jumpcloud)
        assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized: no organization selected"})
        assert ask(jumpcloud, {"x-org-id": "another"}).status_code == 403
        assert ask(jumpcloud, {"x-org-id": jumpcloud.org_id}).status_code == 200
