"""The simulated alerts keep the rules of CrowdStrike's combined alerts endpoint."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.crowdstrike import CrowdStrike
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

API = "https://api.us-2.crowdstrike.com"
CLIENT = {name: CrowdStrike.params[name] for name in ("client_id", "client_secret")}
SINCE = "updated_timestamp:>='2026-03-01T00:00:00Z'"

crowdstrike = served(CrowdStrike)


def token(crowdstrike: CrowdStrike, **form: str) -> requests.Response:
    return call(crowdstrike, f"{API}/oauth2/token", method="POST", data=CLIENT | form)


def ask(crowdstrike: CrowdStrike, bearer: str | None = None, **body: Any) -> requests.Response:
    bearer = bearer or token(crowdstrike).json()["access_token"]
    asked = {"filter": SINCE, "sort": "updated_timestamp|asc", "limit": 2} | body
    headers = {"Authorization": f"Bearer {bearer}"}
    return call(crowdstrike, f"{API}/alerts/combined/alerts/v1", method="POST", json=asked, headers=headers)


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["errors"] == []
    return [CrowdStrike.id_of("", row) for row in answer.json()["resources"]]


def test_after_leads_through_everything_once_and_is_absent_at_the_end(crowdstrike: CrowdStrike) -> None:
    events = ids(crowdstrike.emitter.emit(3))
    first = ask(crowdstrike)
    second = ask(crowdstrike, after=first.json()["meta"]["pagination"]["after"])
    assert found(first) + found(second) == events
    assert "after" not in second.json()["meta"]["pagination"]
    assert found(ask(crowdstrike, sort="updated_timestamp|desc", limit=3)) == events[::-1]


def test_an_updated_alert_is_another_version_of_the_same(clock: Clock) -> None:
    for only_latest, expected in ((False, 4), (True, 3)):
        with serving(CrowdStrike(clock=clock, only_latest=only_latest)) as crowdstrike:
            versions = found(ask(crowdstrike, limit=10)) if crowdstrike.emitter.emit(4) else []
            assert len(versions) == len(set(versions)) == expected
            assert len({version.split(" ")[0] for version in versions}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": "updated_timestamp:>2026-03-01T00:00:00Z"},
        {"filter": "status:'new'"},
        {"sort": "id|asc"},
        {"limit": 1001},
        {"offset": 0},
        {"after": "abc"},
        {"after": 5},
        {"filter": ["x"]},
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_wrong_question_is_refused_in_errors(clock: Clock, status: int, wrong: dict[str, Any]) -> None:
    with serving(CrowdStrike(clock=clock, errors_status=status)) as crowdstrike:
        answer = ask(crowdstrike, **wrong)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, 400)


def test_after_belongs_to_its_filter_and_may_be_over(crowdstrike: CrowdStrike) -> None:
    crowdstrike.emitter.emit(3)
    after = ask(crowdstrike).json()["meta"]["pagination"]["after"]
    bearer = token(crowdstrike).json()["access_token"]
    bounded = f"{SINCE}+updated_timestamp:<'2026-03-03T00:00:00Z'"
    assert ask(crowdstrike, filter=bounded, after=after).json()["errors"]
    crowdstrike.faults.plan("expired")
    assert ask(crowdstrike, bearer, after=after).json()["errors"]
    assert len(found(ask(crowdstrike, bearer, after=after))) == 1


def test_tokens_are_made_and_end(crowdstrike: CrowdStrike, clock: Clock) -> None:
    minted = token(crowdstrike, grant_type="client_credentials")
    assert (minted.status_code, minted.json()["expires_in"]) == (201, 1799)
    assert token(crowdstrike, client_secret="bad").status_code == 401
    clock.move(1800)
    assert ask(crowdstrike, minted.json()["access_token"]).status_code == 401


def test_a_used_up_quota_tells_the_wait(clock: Clock) -> None:
    with serving(CrowdStrike(clock=clock, per_minute=0)) as crowdstrike:
        answer = ask(crowdstrike)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
