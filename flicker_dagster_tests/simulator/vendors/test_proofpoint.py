"""The simulated SIEM API keeps the rules of Proofpoint's TAP documentation."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.proofpoint import ARRAYS, PATHS, Proofpoint
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://tap-api-v2.proofpoint.com/v2/siem/"

proofpoint = served(Proofpoint)


def ask(
    proofpoint: Proofpoint, path: str = "all", auth: tuple[str, str] | None = None, **query: Any
) -> requests.Response:
    right = (proofpoint.params["principal"], proofpoint.params["secret"])
    return call(proofpoint, URL + path, {"format": "json"} | query, auth=auth or right)


def interval(clock: Clock, start_ago_s: float, end_ago_s: float) -> str:
    return f"{rfc3339_ms(clock.ago_ms(start_ago_s))}/{rfc3339_ms(clock.ago_ms(end_ago_s))}"


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    arrays = {name: rows for name, rows in answer.json().items() if name != "queryEndTime"}
    return [Proofpoint.id_of("", row | {"array": array}) for array, rows in arrays.items() for row in rows]


def test_one_answer_holds_four_arrays_of_what_surfaced_in_the_span(proofpoint: Proofpoint, clock: Clock) -> None:
    (late,) = proofpoint.emitter.emit(1, at_ms=clock.ago_ms(2 * DAY_S), visible_ms=clock.now_ms + 10_000)
    events = ids(proofpoint.emitter.emit(40))
    clock.move(60)
    answer = ask(proofpoint, interval=interval(clock, 60, 0))
    assert sorted(answer.json()) == sorted(["queryEndTime", *ARRAYS])
    assert all(answer.json().values())
    assert sorted(found(answer)) == sorted([*events, late.id])
    assert found(ask(proofpoint, interval=interval(clock, 59, 0))) == [late.id]


def test_an_end_in_the_future_is_answered_to_now(proofpoint: Proofpoint, clock: Clock) -> None:
    proofpoint.emitter.emit(1)
    clock.move(10)
    answer = ask(proofpoint, interval=interval(clock, 60, -60))
    assert answer.json()["queryEndTime"] == rfc3339_ms(clock.now_ms)


@pytest.mark.parametrize(
    "path", ["issues", "messages/delivered", "messages/blocked", "clicks/permitted", "clicks/blocked"]
)
def test_parts_are_listed_alone(proofpoint: Proofpoint, clock: Clock, path: str) -> None:
    proofpoint.emitter.emit(20)
    clock.move(60)
    assert set(ask(proofpoint, path, sinceSeconds=600).json()) == {"queryEndTime", *PATHS[f"/v2/siem/{path}"]}


def test_nothing_is_no_content_or_empty_arrays(clock: Clock) -> None:
    for nothing_is_204, status in ((True, 204), (False, 200)):
        with serving(Proofpoint(clock=clock, nothing_is_204=nothing_is_204)) as proofpoint:
            assert ask(proofpoint, sinceTime=rfc3339_ms(clock.ago_ms(600))).status_code == status


@pytest.mark.parametrize(
    ("start_ago_s", "end_ago_s"),
    [(3601, 0), (29, 0), (7 * DAY_S + 1, 7 * DAY_S - 60), (-60, -120), (0, 60)],
)
def test_a_span_too_wide_too_narrow_or_too_old_is_refused(
    proofpoint: Proofpoint, clock: Clock, start_ago_s: float, end_ago_s: float
) -> None:
    assert ask(proofpoint, interval=interval(clock, start_ago_s, end_ago_s)).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{}, {"sinceSeconds": 60, "sinceTime": "2026-03-02T08:30:00Z"}, {"sinceSeconds": 60, "format": "syslog"},
     {"sinceSeconds": 60, "limit": 5}, {"interval": "2026-03-02T08:30:00/2026-03-02T08:40:00"}],
)  # fmt: skip
def test_a_wrong_question_is_refused(proofpoint: Proofpoint, wrong: dict[str, Any]) -> None:
    assert ask(proofpoint, **wrong).status_code == 400


def test_another_secret_or_path_is_refused(proofpoint: Proofpoint) -> None:
    assert ask(proofpoint, auth=("x", "y")).status_code == 401
    assert ask(proofpoint, "everything", sinceSeconds=60).status_code == 404


def test_the_budget_of_a_day_moves_with_the_hours_and_permitted_clicks_have_their_own(clock: Clock) -> None:
    with serving(Proofpoint(clock=clock, per_day=2)) as proofpoint:
        assert ask(proofpoint, sinceSeconds=60).status_code == 204
        clock.move(3600)
        assert ask(proofpoint, "issues", sinceSeconds=60).status_code == 204
        answer = ask(proofpoint, sinceSeconds=60)
        assert (answer.status_code, answer.content) == (429, b"")
        assert not {name for name in answer.headers if "retry" in name.lower() or "limit" in name.lower()}
        assert ask(proofpoint, "clicks/permitted", sinceSeconds=60).status_code == 204
        clock.move(DAY_S - 3600)
        assert ask(proofpoint, sinceSeconds=60).status_code == 204
        assert ask(proofpoint, sinceSeconds=60).status_code == 429
