"""The simulated audit logs keep the rules of Zendesk's documentation (list audit logs, cursor pagination)."""

from __future__ import annotations

import pytest
import requests

from flicker_dagster.simulator.vendors.zendesk import Zendesk
from flicker_dagster.times import datetime_of
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://acme.zendesk.com/api/v2/audit_logs"
CREATED = "filter[created_at][]"
USER = ("ana@acme.test/token", "zd-6f1b0c3e8d")

zendesk = served(Zendesk)


def ask(
    zendesk: Zendesk, *params: tuple[str, object], url: str = URL, user: tuple[str, str] = USER
) -> requests.Response:
    return call(zendesk, url, list(params), auth=user)


def found(answer: requests.Response) -> list[str]:
    return [str(row["id"]) for row in answer.json()["audit_logs"]]


def at(ms: int) -> str:
    return f"{datetime_of(ms):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
def test_pages_by_cursor_list_each_event_once_while_others_come(zendesk: Zendesk, clock: Clock, sort: str) -> None:
    events = ids(zendesk.emitter.emit(7, at_ms=clock.ago_ms(60)))
    answer = ask(zendesk, ("page[size]", 3), ("sort", sort))
    pages = [found(answer)]
    zendesk.emitter.emit(1)
    while answer.json()["meta"]["has_more"]:
        assert answer.json()["meta"]["after_cursor"]
        answer = ask(zendesk, url=answer.json()["links"]["next"])
        pages.append(found(answer))
    walked = [event for page in pages for event in page]
    assert walked[:7] == (events if sort == "created_at" else events[::-1])
    assert answer.json()["links"]["next"] is None
    assert answer.json()["meta"]["after_cursor"]


def test_page_numbers_are_newest_first_and_shift(zendesk: Zendesk, clock: Clock) -> None:
    events = ids([zendesk.emitter.emit(1, at_ms=clock.ago_ms(9 - n))[0] for n in range(4)])
    first = ask(zendesk, ("per_page", 2), ("page", 1))
    assert (found(first), first.json()["count"]) == ([events[3], events[2]], 4)
    clock.move(1)
    zendesk.emitter.emit(1)
    assert found(ask(zendesk, url=first.json()["next_page"])) == [events[2], events[1]]


@pytest.mark.parametrize(("listed", "numbers"), [(True, [1, 2, 3]), (False, [2])])
def test_a_start_and_an_end_bound_it_by_seconds(clock: Clock, listed: bool, numbers: list[int]) -> None:
    with serving(Zendesk(clock=clock, edges_listed=listed)) as zendesk:
        events = [zendesk.emitter.emit(1, at_ms=clock.ago_ms(n) + 500)[0] for n in (50, 40, 30, 20, 10)]
        span = ((CREATED, at(clock.ago_ms(40))), (CREATED, at(clock.ago_ms(20))))
        assert found(ask(zendesk, ("sort", "created_at"), *span)) == ids([events[n] for n in numbers])


@pytest.mark.parametrize(
    "params",
    [
        [(CREATED, "2026-03-01T00:00:00Z")],
        [(CREATED, "2026-03-01T00:00:00.000Z"), (CREATED, "2026-03-02T00:00:00.000Z")],
        [(CREATED, "2026-03-02T00:00:00Z"), (CREATED, "2026-03-01T00:00:00Z")],
        [("page[size]", 101)],
        [("page[size]", 0)],
        [("sort", "id")],
        [("page[after]", "nonsense")],
        [("page[size]", 5), ("per_page", 5)],
        [("per_page", 101)],
        [("since", "2026-03-01T00:00:00Z")],
    ],
)
def test_what_it_does_not_take_is_refused(zendesk: Zendesk, params: list[tuple[str, object]]) -> None:
    answer = ask(zendesk, *params)
    assert (answer.status_code, list(answer.json())) == (400, ["errors"])


def test_credentials_paths_quota_and_faults(zendesk: Zendesk, clock: Clock) -> None:
    assert ask(zendesk, user=("ana@acme.test", USER[1])).status_code == 401
    assert ask(zendesk, url="https://other.zendesk.com/api/v2/audit_logs").status_code == 404
    zendesk.faults.plan("429", seconds=7)
    refused = ask(zendesk)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    zendesk.emitter.emit(3)
    cursor = ask(zendesk, ("page[size]", 1)).json()["meta"]["after_cursor"]
    zendesk.faults.plan("expired")
    assert ask(zendesk, ("page[after]", cursor)).status_code == 400
    zendesk.faults.plan("wrong_host")
    assert ask(zendesk, ("page[size]", 1)).json()["links"]["next"].startswith("http://evil.invalid/api")
    zendesk.per_minute = 0
    clock.move(60)
    assert ask(zendesk).headers["Retry-After"] == "60"
