"""The simulated audit events keep the rules of GitLab's API documentation."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.gitlab import GitLab
from flicker_dagster.times import parse_http_date_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call, walked
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

BASE = "https://gitlab.acme.test/api/v4"
TOKEN = {"PRIVATE-TOKEN": GitLab.params["token"]}
KEYSET: dict[str, Any] = {"pagination": "keyset", "order_by": "id", "sort": "desc"}

gitlab = served(GitLab)


def ask(
    gitlab: GitLab, path: str = "/audit_events", headers: dict[str, str] = TOKEN, **query: Any
) -> requests.Response:
    return call(gitlab, BASE + path, query, headers=headers)


def walk(gitlab: GitLab, path: str = "/audit_events", **query: Any) -> list[list[str]]:
    def following(answer: requests.Response) -> requests.Response | None:
        return call(gitlab, answer.links["next"]["url"], headers=TOKEN) if "next" in answer.links else None

    return [[str(row["id"]) for row in answer.json()] for answer in walked(ask(gitlab, path, **query), following)]


def test_numbered_pages_lead_from_the_newest_to_the_oldest(gitlab: GitLab) -> None:
    events = gitlab.emitter.emit(5)
    answer = ask(gitlab, per_page=2)
    assert (answer.headers["X-Next-Page"], answer.headers["X-Total"]) == ("2", "5")
    assert [*chain(*walk(gitlab, per_page=2))] == ids(events[::-1])


def test_a_keyset_ends_with_an_empty_page_and_is_not_shifted(gitlab: GitLab) -> None:
    events = gitlab.emitter.emit(4)
    assert walk(gitlab, per_page=2, **KEYSET) == [ids(events[:1:-1]), ids(events[1::-1]), []]
    following = ask(gitlab, per_page=2, **KEYSET).links["next"]["url"]
    gitlab.emitter.emit(3)
    assert [str(row["id"]) for row in call(gitlab, following, headers=TOKEN).json()] == ids(events[1::-1])


@pytest.mark.parametrize("changed", [{"order_by": "created_at"}, {"sort": "asc"}])
def test_a_keyset_has_one_order(gitlab: GitLab, changed: dict[str, Any]) -> None:
    assert ask(gitlab, **KEYSET | changed).status_code == 405


@pytest.mark.parametrize(("stream", "field"), [("groups", "full_path"), ("projects", "path_with_namespace")])
def test_events_of_groups_and_projects_are_had_one_by_one(gitlab: GitLab, stream: str, field: str) -> None:
    events = gitlab.emitters[stream].emit(30)
    listed = walk(gitlab, f"/{stream}", per_page=2)
    assert [len(page) for page in listed] == [2, 1]
    found = [row for entity in chain(*listed) for row in chain(*walk(gitlab, f"/{stream}/{entity}/audit_events"))]
    assert sorted(found) == sorted(ids(events))
    entity = ask(gitlab, f"/{stream}").json()[1]
    by_path = f"/{stream}/{entity[field].replace('/', '%2F')}/audit_events"
    assert walk(gitlab, by_path) == walk(gitlab, f"/{stream}/{entity['id']}/audit_events")
    assert ask(gitlab, f"/{stream}/4711/audit_events").status_code == 404


def test_both_edges_are_inclusive(gitlab: GitLab, clock: Clock) -> None:
    events = [gitlab.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 20, 10, 0)]
    span: dict[str, Any] = {"created_after": "2026-03-02T08:59:40Z", "created_before": "2026-03-02T09:59:50+01:00"}
    assert walk(gitlab, **span) == [ids(events[2:0:-1])]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "1"}, {"created_after": "1772442847"}, {"created_after": "2026-03-02T08:59:40.000Z"},
        {"created_after": "2026-03-02T09:00:00 00:00"}, {"per_page": "0"}, {"cursor": "x", **KEYSET},
        {"created_after": "2026-02-02T00:00:00Z", "created_before": "2026-02-01T00:00:00Z"},
        {"created_after": "2026-01-01T00:00:00Z", "created_before": "2026-02-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused(gitlab: GitLab, query: dict[str, Any]) -> None:
    assert ask(gitlab, **query).status_code == 400


def test_more_than_30_days_may_be_asked_of_a_group(gitlab: GitLab) -> None:
    assert ask(gitlab, "/groups/60/audit_events", created_after="2025-01-01T00:00:00Z").status_code == 200


def test_a_token_is_given_in_one_of_two_headers(gitlab: GitLab) -> None:
    assert ask(gitlab, headers=bearer(GitLab.params["token"])).status_code == 200
    for wrong in ({}, {"PRIVATE-TOKEN": "wrong"}, {"Authorization": f"Basic {GitLab.params['token']}"}):
        assert ask(gitlab, headers=wrong).json() == {"message": "401 Unauthorized"}


def test_the_quota_is_refused_in_plain_text(clock: Clock) -> None:
    with serving(GitLab(per_minute=1, clock=clock)) as gitlab:
        assert ask(gitlab).headers["RateLimit-Remaining"] == "0"
        answer = ask(gitlab)
        assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (429, "Retry later\n", "60")
        assert int(answer.headers["RateLimit-Reset"]) * 1000 == clock.now_ms + 60_000
        assert parse_http_date_ms(answer.headers["RateLimit-ResetTime"]) == clock.now_ms + 60_000
