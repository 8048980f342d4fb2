"""The simulated audit trail keeps the rules of HCP Terraform's documentation."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.terraform import Terraform
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL = "https://app.terraform.io/api/v2/organization/audit-trail"

terraform = served(Terraform)


def ask(terraform: Terraform, number: object = 1, size: object = 2, token: str = "", **query: Any) -> requests.Response:
    paging = {"page[number]": number, "page[size]": size}
    bearer = token or terraform.params["token"]
    return call(terraform, URL, paging | query, headers={"Authorization": f"Bearer {bearer}"})


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def test_pages_are_numbered_newest_first_and_the_last_names_no_next(terraform: Terraform) -> None:
    events = ids(terraform.emitter.emit(3))[::-1]
    answers = [ask(terraform, number) for number in (1, 2, 3)]
    assert [found(answer) for answer in answers] == [events[:2], events[2:], []]
    assert [answer.json()["pagination"]["next_page"] for answer in answers] == [2, None, None]
    assert answers[0].json()["pagination"]["total_count"] == 3


def test_rows_shift_down_while_they_are_read(terraform: Terraform, clock: Clock) -> None:
    first, second, third = ids(terraform.emitter.emit(3))
    assert found(ask(terraform, 1)) == [third, second]
    clock.move(1)
    terraform.emitter.emit(1)
    assert found(ask(terraform, 2)) == [second, first]


@pytest.mark.parametrize("inclusive", [False, True])
def test_since_itself_is_listed_or_not(clock: Clock, inclusive: bool) -> None:
    with serving(Terraform(clock=clock, inclusive=inclusive)) as terraform:
        at, after = (terraform.emitter.emit(1, at_ms=clock.ago_ms(ago))[0].id for ago in (20, 10))
        expected = [after, at] if inclusive else [after]
        assert found(ask(terraform, since=rfc3339_ms(clock.ago_ms(20)))) == expected


def test_what_is_older_than_14_days_is_gone(terraform: Terraform, clock: Clock) -> None:
    terraform.emitter.emit(1, at_ms=clock.ago_ms(15 * DAY_S))
    (kept,) = terraform.emitter.emit(1, at_ms=clock.ago_ms(13 * DAY_S))
    assert found(ask(terraform, since="2026-01-01T00:00:00.000Z")) == [kept.id]


@pytest.mark.parametrize(
    "wrong", [{"since": "2026-03-01T00:00:00Z"}, {"until": "x"}, {"number": 0}, {"size": 1001}, {"number": "x"}]
)
def test_a_wrong_question_is_refused(terraform: Terraform, wrong: dict[str, Any]) -> None:
    assert ask(terraform, **wrong).status_code == 400


def test_another_token_host_or_path_is_refused(terraform: Terraform) -> None:
    assert ask(terraform, token="user-token").status_code == 401
    right = {"Authorization": f"Bearer {terraform.params['token']}"}
    assert call(terraform, URL.replace("app.", "x."), headers=right).status_code == 404
    assert call(terraform, f"{URL}s", headers=right).status_code == 404


def test_a_used_up_quota_tells_the_seconds_to_wait(clock: Clock) -> None:
    with serving(Terraform(clock=clock, per_minute=1)) as terraform:
        assert ask(terraform).headers["X-RateLimit-Remaining"] == "0"
        clock.move(0.5)
        answer = ask(terraform)
        assert (answer.status_code, answer.headers["X-RateLimit-Reset"]) == (429, "59.500")
        assert "Retry-After" not in answer.headers
