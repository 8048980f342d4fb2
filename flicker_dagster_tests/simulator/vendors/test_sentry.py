"""The simulated audit log keeps the rules of Sentry's pagination documentation and of its endpoint."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.utils import parse_header_links

from flicker_dagster.simulator.vendors.sentry import Sentry
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served

URL = "https://us.sentry.io/api/0/organizations/acme/audit-logs/"

sentry = served(Sentry)


def ask(sentry: Sentry, url: str = URL, *, token: str = Sentry.params["token"], **params: Any) -> requests.Response:
    return call(sentry, url, params, headers=bearer(token))


def found(answer: requests.Response) -> list[str]:
    return [row["id"] for row in answer.json()["rows"]]


def link(answer: requests.Response, rel: str) -> dict[str, str]:
    return next(each for each in parse_header_links(answer.headers["Link"]) if each["rel"] == rel)


def test_next_leads_to_older_rows_until_there_are_no_results(sentry: Sentry, clock: Clock) -> None:
    events = ids([*sentry.emitter.emit(4, at_ms=clock.ago_ms(60)), *sentry.emitter.emit(3)])
    answer = ask(sentry, per_page=2)
    walked = found(answer)
    clock.move(1)
    sentry.emitter.emit(1)
    while link(answer, "next")["results"] == "true":
        answer = ask(sentry, link(answer, "next")["url"])
        walked += found(answer)
    assert walked == events[::-1]
    assert found(ask(sentry, link(answer, "next")["url"])) == []


def test_previous_leads_to_newer_rows_also_of_the_same_millisecond(sentry: Sentry, clock: Clock) -> None:
    sentry.emitter.emit(2)
    answer = ask(sentry)
    previous = link(answer, "previous")
    assert (previous["results"], previous["cursor"].split(":")[2]) == ("false", "1")
    newer = ids(sentry.emitter.emit(2))
    clock.move(1)
    newer += ids(sentry.emitter.emit(1))
    assert found(ask(sentry, previous["url"])) == newer[::-1]


@pytest.mark.parametrize("params", [{"per_page": 101}, {"cursor": "nonsense"}, {"start": "2026-03-02"}])
def test_what_it_does_not_take_is_refused(sentry: Sentry, params: dict[str, Any]) -> None:
    answer = ask(sentry, **params)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


def test_credentials_organization_quota_and_links_elsewhere(sentry: Sentry) -> None:
    assert ask(sentry, token="bad").status_code == 401
    assert ask(sentry, URL.replace("acme", "other")).status_code == 404
    assert ask(sentry, URL.replace("us.sentry", "eu.sentry")).status_code == 404
    assert ask(sentry, URL.rstrip("/")).status_code == 404
    sentry.faults.plan("wrong_host")
    assert link(ask(sentry), "next")["url"].startswith("http://evil.invalid/api/0/")
    sentry.per_minute = 0
    refused = ask(sentry)
    assert (refused.status_code, refused.headers["X-Sentry-Rate-Limit-Remaining"]) == (429, "0")
