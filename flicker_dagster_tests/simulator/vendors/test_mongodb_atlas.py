"""The simulated events keep the rules of the Atlas Administration API."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from flicker_dagster.simulator.vendors.mongodb_atlas import MongoDBAtlas
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

API = "https://cloud.mongodb.com"
ORG = f"/api/atlas/v2/orgs/{MongoDBAtlas.params['org_id']}/events"
PROJECT = f"/api/atlas/v2/groups/{MongoDBAtlas.params['project_id']}/events"
ACCEPT = "application/vnd.atlas.2023-02-01+json"
KEYS = (MongoDBAtlas.params["public_key"], MongoDBAtlas.params["private_key"])

atlas = served(MongoDBAtlas)


def ask(
    atlas: MongoDBAtlas, path: str = ORG, auth: Any = None, accept: str = ACCEPT, **query: Any
) -> requests.Response:
    return call(atlas, API + path, query, headers={"Accept": accept}, auth=auth or HTTPDigestAuth(*KEYS))


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["results"]]


def link(answer: requests.Response, rel: str = "next") -> str | None:
    return next((each["href"] for each in answer.json()["links"] if each["rel"] == rel), None)


def test_links_lead_through_numbered_pages_newest_first(atlas: MongoDBAtlas) -> None:
    events = ids(atlas.emitter.emit(3))[::-1]
    first = ask(atlas, itemsPerPage=2)
    following = link(first)
    assert following is not None
    assert following.startswith(f"{API}{ORG}?")
    second = ask(atlas, following.removeprefix(API))
    assert (found(first), found(second)) == (events[:2], events[2:])
    assert (link(second), second.json()["totalCount"]) == (None, 3)
    assert link(second, "previous") is not None
    assert first.headers["Content-Type"] == ACCEPT
    assert "totalCount" not in ask(atlas, includeCount="false").json()


def test_a_project_has_its_own_log_and_rows_shift(atlas: MongoDBAtlas, clock: Clock) -> None:
    events = ids(atlas.emitters["project"].emit(2))
    assert found(ask(atlas, PROJECT, itemsPerPage=1)) == [events[1]]
    clock.move(1)
    atlas.emitters["project"].emit(1)
    assert found(ask(atlas, PROJECT, itemsPerPage=1, pageNum=2)) == [events[1]]


def test_both_dates_belong_to_the_span_in_whole_seconds(atlas: MongoDBAtlas, clock: Clock) -> None:
    events = [atlas.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (19.2, 9.2)]
    span = {"minDate": rfc3339_ms(clock.ago_ms(20)), "maxDate": rfc3339_ms(clock.ago_ms(10))}
    assert found(ask(atlas, **span)) == events[::-1]


@pytest.mark.parametrize(
    "wrong",
    [{"minDate": "2026-03-01"}, {"minDate": "2026-03-02T00:00:00Z", "maxDate": "2026-03-01T00:00:00Z"},
     {"itemsPerPage": 501}, {"pageNum": 0}, {"limit": 10}],
)  # fmt: skip
def test_a_wrong_question_is_refused(atlas: MongoDBAtlas, wrong: dict[str, Any]) -> None:
    assert ask(atlas, **wrong).status_code == 400


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/vnd.atlas.2022-01-01+json"])
def test_a_dated_media_type_is_required(atlas: MongoDBAtlas, accept: str) -> None:
    assert ask(atlas, accept=accept).status_code == 406


def test_a_digest_is_asked_for_once_and_its_nonce_ends(atlas: MongoDBAtlas, clock: Clock) -> None:
    keys = HTTPDigestAuth(*KEYS)
    assert [ask(atlas, auth=keys).status_code for _ in range(3)] == [200, 200, 200]
    assert atlas.digest.challenges == 1
    clock.move(301)
    assert ask(atlas, auth=keys).status_code == 200
    assert atlas.digest.challenges == 2


def test_a_digest_is_for_one_request_with_the_right_key(atlas: MongoDBAtlas) -> None:
    used = ask(atlas).request.headers["Authorization"]
    replayed = call(atlas, API + ORG, headers={"Accept": ACCEPT, "Authorization": used})
    assert replayed.status_code == 401
    assert replayed.headers["WWW-Authenticate"].startswith('Digest realm="MMS Public API"')
    assert ask(atlas, auth=HTTPDigestAuth(KEYS[0], "bad")).status_code == 401
    assert ask(atlas, auth=KEYS).status_code == 401
    assert call(atlas, API + ORG, headers={"Accept": ACCEPT, "Authorization": "Digest x"}).status_code == 401
    assert ask(atlas, ORG.replace("5e1f", "6e1f")).status_code == 403


def test_a_service_account_has_a_token_for_an_hour(atlas: MongoDBAtlas, clock: Clock) -> None:
    client = (atlas.service_account["client_id"], atlas.service_account["client_secret"])
    form = {"grant_type": "client_credentials"}
    minted = call(atlas, f"{API}/api/oauth/token", method="POST", data=form, auth=client).json()
    headers = {"Accept": ACCEPT, "Authorization": f"Bearer {minted['access_token']}"}
    assert call(atlas, API + ORG, headers=headers).status_code == 200
    clock.move(minted["expires_in"])
    assert call(atlas, API + ORG, headers=headers).status_code == 401


def test_a_next_link_may_be_led_elsewhere_and_events_are_left_alone(atlas: MongoDBAtlas) -> None:
    atlas.emitter.emit(2)
    keys = HTTPDigestAuth(*KEYS)
    plain = ask(atlas, auth=keys, itemsPerPage=1)
    atlas.faults.plan("wrong_host")
    led = ask(atlas, auth=keys, itemsPerPage=1)
    assert str(link(led)).startswith("http://evil.invalid/")
    assert led.json()["results"] == plain.json()["results"]


def test_a_used_up_quota_tells_no_wait(clock: Clock) -> None:
    with serving(MongoDBAtlas(clock=clock, per_minute=0)) as atlas:
        answer = ask(atlas)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (429, None)
