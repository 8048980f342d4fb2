"""The simulated events keep the rules of Netskope's REST API v2: the pull by insertion, and the iterator."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.netskope import Netskope
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

DATA = "https://acme.goskope.com/api/v2/events/data/"
EXPORT = "https://acme.goskope.com/api/v2/events/dataexport/events/audit"

netskope = served(Netskope)


def ask(netskope: Netskope, url: str = f"{DATA}audit", token: str = "", **query: Any) -> requests.Response:
    return call(netskope, url, query, headers={"Netskope-Api-Token": token or netskope.params["token"]})


def pull(netskope: Netskope, start_s: object, end_s: object, kind: str = "audit", **query: Any) -> requests.Response:
    return ask(netskope, DATA + kind, insertionstarttime=start_s, insertionendtime=end_s, **query)


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["ok"] == 1
    return [row["_id"] for row in answer.json()["result"]]


def test_events_are_listed_by_the_second_of_their_insertion_by_offset(netskope: Netskope, clock: Clock) -> None:
    now_s = int(clock.now_s)
    (late,) = ids(netskope.emitter.emit(1, at_ms=clock.ago_ms(3600), visible_ms=clock.now_ms + 5_000))
    first, second = ids(netskope.emitter.emit(2))
    clock.move(5)
    assert found(pull(netskope, now_s, now_s + 5)) == [first, second, late]
    assert found(pull(netskope, now_s, now_s + 4)) == [first, second]
    answer = pull(netskope, now_s, now_s + 5, limit=2, offset=2)
    assert found(answer) == [late]
    assert answer.json()["result"][0]["_insertion_epoch_timestamp"] == now_s + 5
    assert answer.json()["result"][0]["timestamp"] == now_s - 3600


def test_a_second_may_still_grow(netskope: Netskope, clock: Clock) -> None:
    now_s = int(clock.now_s)
    first = ids(netskope.emitter.emit(1))
    assert found(pull(netskope, now_s, now_s)) == first
    clock.move(0.5)
    first += ids(netskope.emitter.emit(1))
    assert found(pull(netskope, now_s, now_s)) == first


def test_each_type_has_its_own_log(netskope: Netskope, clock: Clock) -> None:
    events = ids(netskope.emitters["alerts"].emit(1))
    assert found(pull(netskope, 1_000_000_000, int(clock.now_s), "alert")) == events
    assert found(pull(netskope, 1_000_000_000, int(clock.now_s))) == []
    assert pull(netskope, 1_000_000_000, int(clock.now_s), "alerts").status_code == 404


@pytest.mark.parametrize(
    ("start_s", "end_s", "query"),
    [
        ("2026-03-01", 1772442000, {}),
        (1772442000000, 1772442000000, {}),
        (None, 1772442000, {}),
        (1772442001, 1772442000, {}),
        (1772442000, 1772442000, {"limit": 10_001}),
        (1772442000, 1772442000, {"starttime": 1}),
    ],
)
def test_a_wrong_question_is_refused(netskope: Netskope, start_s: object, end_s: object, query: dict[str, Any]) -> None:
    assert pull(netskope, start_s, end_s, **query).status_code == 400


def test_the_iterator_keeps_its_place_by_name_and_resends(clock: Clock) -> None:
    with serving(Netskope(clock=clock, iterator=True, batch=2)) as netskope:
        assert ask(netskope, EXPORT, operation="next", index="mine").status_code == 400
        events = ids(netskope.emitter.emit(3))
        epoch = int(clock.now_s)
        assert found(ask(netskope, EXPORT, operation=epoch, index="mine")) == events[:2]
        assert found(ask(netskope, EXPORT, operation="resend", index="mine")) == events[:2]
        assert found(ask(netskope, EXPORT, operation=epoch, index="yours")) == events[:2]
        assert found(ask(netskope, EXPORT, operation="next", index="mine")) == events[2:]
        answer = ask(netskope, EXPORT, operation="next", index="mine")
        assert (found(answer), answer.json()["wait_time"]) == ([], 30)
        new = ids(netskope.emitter.emit(1))
        assert found(ask(netskope, EXPORT, operation="next", index="mine")) == new


def test_without_the_keyword_there_is_no_iterator_and_a_wrong_token_is_refused(netskope: Netskope) -> None:
    assert ask(netskope, EXPORT, operation="next", index="mine").status_code == 404
    assert ask(netskope, token="bad").status_code == 401


def test_a_used_up_quota_tells_the_seconds_to_wait(clock: Clock) -> None:
    with serving(Netskope(clock=clock, per_minute=1)) as netskope:
        assert pull(netskope, 1772442000, 1772442001).headers["ratelimit-remaining"] == "0"
        answer = pull(netskope, 1772442000, 1772442001)
        assert (answer.status_code, answer.headers["ratelimit-reset"]) == (429, "60")
