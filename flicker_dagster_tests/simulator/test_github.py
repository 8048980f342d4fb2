"""The simulated audit log keeps the rules of https://docs.github.com/en/rest/orgs/orgs (audit log) and of its search."""

from __future__ import annotations

import http.client
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

PATH = "/orgs/acme/audit-log"

github = served(GitHub, token="good")


def ask(github: GitHub, *, token: str = "good", url: str | None = None, **query: Any) -> requests.Response:
    return requests.get(url or github.url + PATH, params=query, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["_document_id"] for event in answer.json()]


def everything(github: GitHub, **query: Any) -> list[str]:
    return listed(ask(github, include="all", order="asc", per_page=100, **query))


def spelled(ms: int) -> str:
    return f"{datetime_of(ms):%Y-%m-%dT%H:%M:%SZ}"


def test_an_event_has_the_documented_fields(github: GitHub, clock: Clock) -> None:
    github.emitter.emit(1)
    (event,) = ask(github, include="all").json()
    assert event["@timestamp"] == clock.now_ms
    assert {"_document_id", "action", "actor", "actor_location", "org", "operation_type"} <= event.keys()


def test_git_events_have_no_created_at_and_others_have(github: GitHub) -> None:
    github.emitter.emit(60)
    events = ask(github, include="all", per_page=100).json()
    assert {event["action"].startswith("git.") for event in events} == {True, False}
    for event in events:
        assert ("created_at" in event) != event["action"].startswith("git.")


def test_the_newest_come_first_unless_asked_otherwise(github: GitHub, clock: Clock) -> None:
    events = [github.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 20, 10)]
    assert listed(ask(github, include="all")) == ids(events[::-1])
    assert listed(ask(github, include="all", order="desc")) == ids(events[::-1])
    assert listed(ask(github, include="all", order="asc")) == ids(events)


def test_web_events_are_listed_unless_git_events_are_asked_for(github: GitHub) -> None:
    github.emitter.emit(60)
    actions = {
        include: [event["action"] for event in ask(github, per_page=100, **query).json()]
        for include, query in {"none": {}, "web": {"include": "web"}, "git": {"include": "git"}}.items()
    }
    assert actions["none"] == actions["web"]
    assert not any(action.startswith("git.") for action in actions["web"])
    assert all(action.startswith("git.") for action in actions["git"])
    assert len(actions["web"]) + len(actions["git"]) == len(everything(github)) == 60


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("created:>=2026-03-01T12:00:01Z", [2, 3, 4]),
        ("created:>2026-03-01T12:00:01Z", [4]),
        ("created:<=2026-03-01T12:00:01Z", [0, 1, 2, 3]),
        ("created:<2026-03-01T12:00:01Z", [0, 1]),
        ("created:>=2026-03-01T12:00:00Z created:<=2026-03-01T12:00:01Z", [1, 2, 3]),
        ("created:2026-03-01T12:00:00Z..2026-03-01T12:00:01Z", [1, 2, 3]),
        ("created:2026-03-01T12:00:01Z", [2, 3]),
        ("created:2026-03-01", [1, 2, 3]),
        ("created:<=2026-03-01", [0, 1, 2, 3]),
        ("created:>2026-03-01", [4]),
        ("created:2026-02-28..2026-03-01", [0, 1, 2, 3]),
        ("created:>=2026-03-01T12:00:01+00:00", [2, 3, 4]),
        ("action:repo.create created:>=2026-03-02", [4]),
    ],
)
def test_times_are_qualifiers_of_the_phrase_to_the_second_or_the_day(
    github: GitHub, phrase: str, found: list[int]
) -> None:
    times_ms = [1772280000000, 1772366400000, 1772366401000, 1772366401999, 1772409600000]  # 28 Feb … 2 March 00:00
    events = [github.emitter.emit(1, at_ms=ms)[0] for ms in times_ms]
    assert everything(github, phrase=phrase) == ids([events[number] for number in found])


@pytest.mark.parametrize(
    "phrase", ["created:>=2026-03-01T12:00:00.123Z", "created:>=1772442847", "created:>=", "created:>=yesterday"]
)
def test_a_time_that_the_search_does_not_take_is_refused(github: GitHub, phrase: str) -> None:
    assert ask(github, phrase=phrase).status_code == 422


def test_without_a_time_the_last_three_months_are_listed(github: GitHub, clock: Clock) -> None:
    (old,) = github.emitter.emit(1, at_ms=clock.ago_ms(100 * DAY_S))
    (recent,) = github.emitter.emit(1, at_ms=clock.ago_ms(80 * DAY_S))
    assert everything(github) == [recent.id]
    assert everything(github, phrase=f"created:>={spelled(clock.ago_ms(120 * DAY_S))}") == [old.id, recent.id]


def test_a_page_holds_30_events_unless_asked_otherwise_and_100_at_most(github: GitHub) -> None:
    github.emitter.emit(150)
    assert len(listed(ask(github, include="all"))) == 30
    assert len(listed(ask(github, include="all", per_page=50))) == 50
    assert len(listed(ask(github, include="all", per_page=1000))) == 100


@pytest.mark.parametrize("per_page", ["0", "-5", "many"])
def test_a_page_size_that_is_none_is_refused(github: GitHub, per_page: str) -> None:
    assert ask(github, per_page=per_page).status_code == 422


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_next_link_leads_through_everything_once_and_the_last_page_has_none(github: GitHub, order: str) -> None:
    events = github.emitter.emit(25)
    answer = ask(github, include="all", per_page=10, order=order)
    pages = [listed(answer)]
    while "next" in answer.links:
        answer = ask(github, url=answer.links["next"]["url"])
        pages.append(listed(answer))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert list(chain(*pages)) == ids(events if order == "asc" else events[::-1])


def test_a_page_that_is_just_full_is_the_last_one(github: GitHub) -> None:
    github.emitter.emit(10)
    assert "next" not in ask(github, include="all", per_page=10).links


def test_the_cursor_is_opaque_in_one_link_line_and_repeats_the_question(github: GitHub) -> None:
    github.emitter.emit(3)
    answer = ask(github, include="all", per_page=1, order="asc", phrase="created:>=2026-01-01")
    query = parse_qs(urlsplit(answer.links["next"]["url"]).query)
    assert query["phrase"] == ["created:>=2026-01-01"]
    assert query["order"] == ["asc"]
    assert not query["after"][0].isdigit()
    assert answer.headers["Link"].count('rel="') == 2


def test_what_is_recorded_meanwhile_does_not_shift_the_pages(github: GitHub, clock: Clock) -> None:
    events = github.emitter.emit(4)
    answer = ask(github, include="all", per_page=2)
    clock.move(1)
    github.emitter.emit(3)
    assert listed(ask(github, url=answer.links["next"]["url"])) == ids(events[1::-1])


@pytest.mark.parametrize("after", ["1772442847", "1772442847512", "2026-03-02T09:00:00Z", ""])
def test_a_time_in_after_is_refused(github: GitHub, after: str) -> None:
    github.emitter.emit(3)
    assert ask(github, after=after).status_code == 422


def test_enterprises_have_a_log_of_their_own_and_other_paths_none(github: GitHub) -> None:
    github.emitters["enterprise"].emit(2)
    assert len(listed(ask(github, url=f"{github.url}/enterprises/acme/audit-log", include="all"))) == 2
    assert ask(github, url=f"{github.url}/orgs/acme/members").status_code == 404


def test_a_wrong_token_is_refused(github: GitHub) -> None:
    answer = ask(github, token="bad")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_a_request_without_user_agent_is_refused(github: GitHub) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", github.server.port, timeout=5)
    connection.request("GET", PATH, headers={"Authorization": "Bearer good"})  # sends no User-Agent
    answer = connection.getresponse()
    assert answer.status == 403
    assert b"User-Agent" in answer.read()
    connection.close()


def test_an_exhausted_quota_is_403_with_nothing_remaining_until_its_reset(clock: Clock) -> None:
    with serving(GitHub(per_minute=1, clock=clock)) as github:
        assert ask(github).headers["X-RateLimit-Remaining"] == "0"
        answer = ask(github)
        assert answer.status_code == 403
        assert answer.headers["X-RateLimit-Limit"] == "1"
        assert answer.headers["X-RateLimit-Remaining"] == "0"
        reset_s = int(answer.headers["X-RateLimit-Reset"])
        assert clock.now_s < reset_s <= clock.now_s + 60
        clock.move(60)
        assert ask(github).status_code == 200


def test_a_secondary_limit_is_429_with_retry_after(github: GitHub) -> None:
    github.faults.plan("429", retry_after="7")
    answer = ask(github)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert "X-RateLimit-Remaining" not in answer.headers
