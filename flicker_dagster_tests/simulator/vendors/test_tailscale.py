"""The simulated configuration log keeps the rules of Tailscale's OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.tailscale import API_TOKEN, Tailscale
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://api.tailscale.com/api/v2/tailnet/-/logging/configuration"
TOKEN_URL = "https://api.tailscale.com/api/v2/oauth/token"
CLIENT = {name: Tailscale.params[name] for name in ("client_id", "client_secret")}
SPAN = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-03T00:00:00Z"}

tailscale = served(Tailscale)


def token(tailscale: Tailscale, **form: str) -> requests.Response:
    return call(tailscale, TOKEN_URL, method="POST", data={"grant_type": "client_credentials", **CLIENT, **form})


def ask(tailscale: Tailscale, url: str = URL, bearer: str = API_TOKEN, **query: Any) -> requests.Response:
    return call(tailscale, url, query, headers={"Authorization": f"Bearer {bearer}"})


def found(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [Tailscale.id_of("", row) for row in answer.json()["logs"]]


def test_a_span_is_one_answer_and_holds_more_later(tailscale: Tailscale, clock: Clock) -> None:
    first = ids(tailscale.emitter.emit(2500))
    (late,) = tailscale.emitter.emit(1, at_ms=clock.ago_ms(60), visible_ms=clock.now_ms + 5_000)
    assert found(ask(tailscale, **SPAN)) == first
    clock.move(6)
    assert found(ask(tailscale, **SPAN)) == [late.id, *first]


def test_rows_of_an_operation_share_a_group_and_some_say_that_they_are_deferred(tailscale: Tailscale) -> None:
    tailscale.emitter.emit(60)
    logs = ask(tailscale, **SPAN).json()["logs"]
    assert len({row["eventGroupID"] for row in logs}) == 20
    assert 0 < sum("deferredAt" in row for row in logs) < 60


def test_a_client_gets_a_token_for_an_hour(tailscale: Tailscale, clock: Clock) -> None:
    minted = token(tailscale, scope="logs:configuration:read").json()
    assert minted["expires_in"] == 3600
    assert found(ask(tailscale, bearer=minted["access_token"], **SPAN)) == []
    clock.move(3600)
    assert ask(tailscale, bearer=minted["access_token"], **SPAN).status_code == 401


def test_an_api_token_goes_as_user_too(tailscale: Tailscale) -> None:
    assert call(tailscale, URL, SPAN, auth=(API_TOKEN, "")).status_code == 200
    assert call(tailscale, URL, SPAN, auth=(API_TOKEN, "x")).status_code == 401
    assert ask(tailscale, bearer="bad", **SPAN).json() == {"message": "API token invalid"}


@pytest.mark.parametrize(
    ("form", "status"), [({"client_secret": "x"}, 401), ({"scope": "all:read"}, 400), ({"grant_type": "password"}, 400)]
)
def test_a_wrong_client_gets_none(tailscale: Tailscale, form: dict[str, str], status: int) -> None:
    assert token(tailscale, **form).status_code == status


@pytest.mark.parametrize(
    "wrong", [{"end": None}, {"start": "2026-03-01"}, {"start": "2026-03-04T00:00:00Z"}, {"limit": 10}]
)
def test_a_wrong_question_is_refused(tailscale: Tailscale, wrong: dict[str, Any]) -> None:
    assert ask(tailscale, **(SPAN | wrong)).status_code == 400


def test_another_tailnet_is_forbidden_and_another_path_unknown(tailscale: Tailscale) -> None:
    assert ask(tailscale, URL.replace("/-/", "/acme.test/"), **SPAN).status_code == 200
    assert ask(tailscale, URL.replace("/-/", "/other.test/"), **SPAN).status_code == 403
    assert ask(tailscale, f"{URL}s", **SPAN).status_code == 404


def test_a_used_up_quota_tells_no_wait(clock: Clock) -> None:
    with serving(Tailscale(clock=clock, per_minute=0)) as tailscale:
        answer = ask(tailscale, **SPAN)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (429, None)
