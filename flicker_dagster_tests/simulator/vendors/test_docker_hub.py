"""The simulated audit logs keep the rules of https://docs.docker.com/reference/api/hub/latest/."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.docker_hub import DockerHub
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://hub.docker.com/v2/auditlogs/acme"

hub = served(DockerHub)


def token(hub: DockerHub, **said: str) -> requests.Response:
    login = {"identifier": hub.params["username"], "secret": hub.params["token"]} | said
    return call(hub, "https://hub.docker.com/v2/auth/token", method="POST", json=login)


def ask(hub: DockerHub, url: str = URL, bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(hub).json()["access_token"]
    return call(hub, url, query, headers={"Authorization": f"Bearer {bearer}"})


def test_pages_are_numbered_until_one_is_short_and_rows_may_be_equal(hub: DockerHub) -> None:
    events = hub.emitter.emit(60)
    pages = [ask(hub, page=number, page_size=25).json()["logs"] for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [25, 25, 10, 0]
    met = [hub.id_of("", row) for page in pages for row in page]
    assert met == ids(events[::-1])
    assert max(Counter(met).values()) > 1


def test_bounds_hold_whole_seconds(hub: DockerHub, clock: Clock) -> None:
    events = [hub.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (10, 9.4, 8)]
    query = {"from": rfc3339_ms(clock.ago_ms(10)), "to": rfc3339_ms(clock.ago_ms(9))}
    clock.move(1)
    assert [hub.id_of("", row) for row in ask(hub, **query).json()["logs"]] == ids([events[1], events[0]])


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-03-02"},
        {"from": "2026-03-02T08:00:00Z", "to": "2026-03-02T07:00:00Z"},
        {"page": 0},
        {"page_size": 101},
        {"limit": 5},
    ],
)
def test_what_cannot_be_asked_is_refused(hub: DockerHub, query: dict[str, Any]) -> None:
    assert ask(hub, **query).status_code == 400


def test_rows_are_chosen_by_what_was_done(hub: DockerHub) -> None:
    hub.emitter.emit(40)
    rows = ask(hub, action="repo.create", page_size=100).json()["logs"]
    assert {row["action"] for row in rows} == {"repo.create"}
    assert ask(hub, f"{URL}/actions").status_code == 200
    assert ask(hub, "https://hub.docker.com/v2/auditlogs/another").status_code == 404


def test_tokens_last_ten_minutes_and_the_quota_has_a_text(clock: Clock) -> None:
    with serving(DockerHub(clock=clock, per_minute=1)) as hub:
        assert token(hub, secret="wrong").status_code == 401
        assert token(hub, password="x").status_code == 400
        bearer = token(hub).json()["access_token"]
        assert ask(hub, bearer=bearer).status_code == 200
        assert ask(hub, bearer=bearer).json() == {"detail": "Rate limit exceeded", "error": False}
        clock.move(600)
        assert ask(hub, bearer=bearer).status_code == 401
