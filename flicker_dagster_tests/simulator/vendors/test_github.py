"""A GitHub App is let in as GitHub's documentation says; the audit log itself is tested beside this directory."""

from __future__ import annotations

from typing import Any

import jwt
import requests

from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import Clock, served, serving

LOG = "https://api.github.com/orgs/acme/audit-log"

github = served(GitHub, app=True)


def token(github: GitHub, installation_id: str = "", *, method: str = "POST", **claims: Any) -> requests.Response:
    params, now_s = GitHub.app_params(), int(github.clock())
    said = {"iss": params["app_id"], "iat": now_s - 60, "exp": now_s + 540} | claims
    signed = jwt.encode(said, params["private_key"], algorithm="RS256")
    path = f"/app/installations/{installation_id or params['installation_id']}/access_tokens"
    return call(github, f"https://api.github.com{path}", method=method, headers=bearer(signed))


def test_a_token_of_an_installation_lives_an_hour(github: GitHub, clock: Clock) -> None:
    answer = token(github)
    assert answer.status_code == 201
    assert parse_time_ms(answer.json()["expires_at"]) == clock.now_ms + 3_600_000
    headers = bearer(answer.json()["token"])
    assert call(github, LOG, headers=headers).status_code == 200
    clock.move(3_600)
    assert call(github, LOG, headers=headers).json() == {"message": "Bad credentials"}


def test_an_app_has_no_other_token(github: GitHub) -> None:
    assert call(github, LOG, headers=bearer(GitHub.params["token"])).status_code == 401
    assert call(github, LOG).status_code == 401


def test_an_account_without_an_app_gives_no_token_out(clock: Clock) -> None:
    with serving(GitHub(token="good", clock=clock)) as github:
        assert token(github).status_code == 404


def test_an_app_asks_for_its_own_installation_for_ten_minutes_at_most(github: GitHub, clock: Clock) -> None:
    assert token(github, iss="1").status_code == 404
    assert token(github, "1").status_code == 404
    assert token(github, method="GET").status_code == 404
    assert token(github, exp=int(clock()) + 1_200).status_code == 401
    assert token(github, exp=int(clock()) - 1_200).status_code == 401


def test_the_log_is_at_its_own_host(github: GitHub) -> None:
    headers = bearer(github.minting.mint())
    assert call(github, LOG.replace("api.", "www."), headers=headers).status_code == 404
    assert call(github, LOG.replace("orgs", "enterprises"), headers=headers).status_code == 200
