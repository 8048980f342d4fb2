"""The simulated team log keeps the rules of Dropbox's API specification."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendor import content_of
from flicker_dagster.simulator.vendors.dropbox import Dropbox
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://api.dropboxapi.com/2/team_log/get_events"
TOKEN_URL = "https://api.dropbox.com/oauth2/token"
GRANT = {"grant_type": "refresh_token", "refresh_token": Dropbox.params["refresh_token"]}
CLIENT = (Dropbox.params["app_key"], Dropbox.params["app_secret"])

dropbox = served(Dropbox)


def ask(dropbox: Dropbox, **question: Any) -> requests.Response:
    return call(dropbox, URL, method="POST", json=question, headers=bearer(dropbox.minting.mint()))


def go_on(dropbox: Dropbox, cursor: str) -> requests.Response:
    headers = bearer(dropbox.minting.mint())
    return call(dropbox, f"{URL}/continue", method="POST", json={"cursor": cursor}, headers=headers)


def walk(dropbox: Dropbox, **question: Any) -> list[Any]:
    def following(answer: Any) -> Any:
        return go_on(dropbox, answer["cursor"]).json() if answer["has_more"] else None

    return list(walked(ask(dropbox, **question).json(), following))


def contents(answers: list[Any]) -> Counter[str]:
    return Counter(content_of(event) for answer in answers for event in answer["events"])


def test_everything_comes_with_every_equal_row_and_then_what_is_new(dropbox: Dropbox, clock: Clock) -> None:
    events = dropbox.emitter.emit(25)
    answers = walk(dropbox, limit=10)
    assert [len(answer["events"]) for answer in answers] == [10, 10, 5]
    assert contents(answers) == Counter(ids(events))
    assert max(contents(answers).values()) > 1
    cursor = answers[-1]["cursor"]
    nothing = go_on(dropbox, cursor).json()
    assert (nothing["events"], nothing["has_more"]) == ([], False)
    assert nothing["cursor"] != cursor
    late = dropbox.emitter.emit(2, at_ms=clock.ago_ms(3600))
    assert contents([go_on(dropbox, nothing["cursor"]).json()]) == Counter(ids(late))


def test_the_start_is_inclusive_and_the_end_is_not(dropbox: Dropbox, clock: Clock) -> None:
    events = [dropbox.emitter.emit(1, at_ms=clock.ago_ms(ago_s) + 500)[0] for ago_s in (31, 30, 20, 10, 9)]
    span = {"start_time": "2026-03-02T08:59:30Z", "end_time": "2026-03-02T08:59:50Z"}
    assert contents(walk(dropbox, time=span)) == Counter(ids(events[1:3]))


def test_an_empty_page_may_have_more(dropbox: Dropbox) -> None:
    dropbox.emitter.emit(3)
    dropbox.faults.plan("empty")
    assert [(len(answer["events"]), answer["has_more"]) for answer in walk(dropbox)] == [(0, True), (3, False)]


def test_an_expired_cursor_says_from_when_to_begin_again(dropbox: Dropbox) -> None:
    dropbox.emitter.emit(3)
    cursor = ask(dropbox, limit=2).json()["cursor"]
    dropbox.faults.plan("expired")
    answer = go_on(dropbox, cursor)
    assert (answer.status_code, answer.json()["error"]) == (409, {".tag": "reset", "reset": "2026-03-02T09:00:00Z"})
    assert go_on(dropbox, "nonsense").json()["error"] == {".tag": "bad_cursor"}


@pytest.mark.parametrize(
    "question",
    [
        {"limit": 1001}, {"limit": "10"}, {"since": 1}, {"time": {"start_time": "2026-03-01T00:00:00.000Z"}},
        {"time": {"start_time": 1772442847}}, {"cursor": "x"}, {"category": "logins", "event_type": "login_success"},
        {"time": {"start_time": "2026-03-02T00:00:00Z", "end_time": "2026-03-01T00:00:00Z"}},
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused_in_plain_text(dropbox: Dropbox, question: dict[str, Any]) -> None:
    answer = ask(dropbox, **question)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert answer.text.startswith('Error in call to API function "team_log/get_events"')


def test_a_question_is_a_json_object_by_post(dropbox: Dropbox) -> None:
    headers = bearer(dropbox.minting.mint())
    assert call(dropbox, URL, headers=headers).status_code == 400
    assert call(dropbox, URL, method="POST", data={"limit": 10}, headers=headers).status_code == 400
    assert call(dropbox, URL, {"limit": 10}, method="POST", json={}, headers=headers).status_code == 400


def test_a_token_is_had_for_the_refresh_token_and_lives_four_hours(dropbox: Dropbox, clock: Clock) -> None:
    answer = call(dropbox, TOKEN_URL, method="POST", data=GRANT, auth=CLIENT).json()
    in_form = {**GRANT, "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    assert call(dropbox, TOKEN_URL, method="POST", data=in_form).status_code == 200
    headers = bearer(answer["access_token"])
    assert call(dropbox, URL, method="POST", json={}, headers=headers).status_code == 200
    clock.move(answer["expires_in"])
    assert call(dropbox, URL, method="POST", json={}, headers=headers).status_code == 401
    for wrong, client in (({"refresh_token": "x"}, CLIENT), ({"grant_type": "x"}, CLIENT), ({}, (CLIENT[0], "x"))):
        assert call(dropbox, TOKEN_URL, method="POST", data=GRANT | wrong, auth=client).status_code == 400


def test_the_quota_is_refused_with_retry_after(clock: Clock) -> None:
    with serving(Dropbox(per_minute=1, clock=clock)) as dropbox:
        assert ask(dropbox).status_code == 200
        answer = ask(dropbox)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
