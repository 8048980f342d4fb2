"""The simulated public API keeps the rules of Bitwarden's server, with either storage behind it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.bitwarden import Bitwarden
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://api.bitwarden.com/public/events"

bitwarden = served(Bitwarden)


def token(bitwarden: Bitwarden, **form: str) -> requests.Response:
    sent = {"grant_type": "client_credentials", "scope": "api.organization"} | bitwarden.params | form
    return call(bitwarden, "https://identity.bitwarden.com/connect/token", method="POST", data=sent)


def ask(bitwarden: Bitwarden, bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(bitwarden).json()["access_token"]
    return call(bitwarden, URL, query, headers={"Authorization": f"Bearer {bearer}"})


def walked(bitwarden: Bitwarden, **query: Any) -> list[list[str]]:
    pages, following = [], {}
    while True:
        answer = ask(bitwarden, **query, **following).json()
        pages.append([bitwarden.id_of("", event) for event in answer["data"]])
        if answer["continuationToken"] is None:
            return pages
        following = {"continuationToken": answer["continuationToken"]}


def span(clock: Clock, ago_s: float, until_s: float = 0) -> dict[str, str]:
    return {"start": rfc3339_ms(clock.ago_ms(ago_s)), "end": rfc3339_ms(clock.ago_ms(until_s))}


def test_in_the_cloud_pages_are_short_and_none_is_lost(bitwarden: Bitwarden, clock: Clock) -> None:
    events = bitwarden.emitter.emit(120)
    pages = walked(bitwarden, **span(clock, 60))
    assert [len(page) for page in pages] == [43, 50, 27]
    assert [each for page in pages for each in page] == ids(events[::-1])
    bitwarden.faults.plan("empty", after=1)
    assert [len(page) for page in walked(bitwarden, **span(clock, 60))] == [0, 50, 50, 20]


def test_with_sql_rows_of_the_time_at_a_page_s_edge_are_lost_and_the_end_is_forgotten(clock: Clock) -> None:
    with serving(Bitwarden(clock=clock, storage="sql")) as bitwarden:
        old = bitwarden.emitter.emit(20, at_ms=clock.ago_ms(60))
        bitwarden.emitter.emit(60, at_ms=clock.ago_ms(30))
        pages = walked(bitwarden, **span(clock, 60))
        assert [len(page) for page in pages] == [50, 20]  # ten of sixty are nowhere
        assert pages[1] == ids(old[::-1])
        moved = ask(bitwarden, **span(clock, 60, 30), continuationToken=rfc3339_ms(clock.now_ms)).json()
        assert len(moved["data"]) == 50


def test_bounds_are_inclusive_swapped_in_silence_and_ignored_alone(bitwarden: Bitwarden, clock: Clock) -> None:
    events = [bitwarden.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (60, 30, 0)]
    bitwarden.emitter.emit(1, at_ms=clock.ago_ms(32 * DAY_S))
    assert walked(bitwarden, **span(clock, 60, 30)) == [ids([events[1], events[0]])]
    assert walked(bitwarden, **span(clock, 30, 60)) == [ids([events[1], events[0]])]
    assert walked(bitwarden, start=rfc3339_ms(clock.now_ms)) == [ids(events[::-1])]


@pytest.mark.parametrize("query", [{"start": "yesterday"}, {"continuationToken": "made-up"}, {"pageSize": 10}])
@pytest.mark.parametrize("storage", ["cloud", "sql"])
def test_what_cannot_be_asked_is_refused(clock: Clock, storage: str, query: dict[str, str]) -> None:
    with serving(Bitwarden(clock=clock, storage=storage)) as bitwarden:
        assert ask(bitwarden, **query).json()["object"] == "error"
        assert ask(bitwarden, **span(clock, 368 * DAY_S)).status_code == 400


def test_tokens_need_the_scope_and_the_quota_tells_how_long(clock: Clock) -> None:
    with serving(Bitwarden(clock=clock, per_minute=1)) as bitwarden:
        assert token(bitwarden, scope="api").status_code == 400
        assert token(bitwarden, client_secret="wrong").status_code == 401
        assert ask(bitwarden, "wrong").status_code == 401
        bearer = token(bitwarden).json()["access_token"]
        assert ask(bitwarden, bearer).status_code == 200
        assert (ask(bitwarden, bearer).status_code, ask(bitwarden, bearer).headers["Retry-After"]) == (429, "60")
        clock.move(3600)
        assert ask(bitwarden, bearer).status_code == 401
