"""The simulated service application keeps the rules of https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import requests

from flicker_dagster.simulator.vendors.okta import ASSERTION_TYPE, SCOPE, Okta
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://acme.okta.com"

okta = served(Okta, token="static", oauth=True)


def token(okta: Okta, form: dict[str, str] | None = None, **claims: Any) -> requests.Response:
    client, now_s = okta.oauth_params["client_id"], int(okta.clock())
    said = {"iss": client, "sub": client, "aud": f"{URL}/oauth2/v1/token", "iat": now_s, "exp": now_s + 300} | claims
    key, headers = okta.oauth_params["private_key"], {"kid": claims.pop("kid", okta.oauth_params["key_id"])}
    sent = {"grant_type": "client_credentials", "scope": SCOPE, "client_assertion_type": ASSERTION_TYPE}
    sent["client_assertion"] = jwt.encode(said, key, algorithm="RS256", headers=headers)
    return call(okta, f"{URL}/oauth2/v1/token", method="POST", data=sent | (form or {}))


def ask(okta: Okta, authorization: str) -> requests.Response:
    return call(okta, f"{URL}/api/v1/logs", headers={"Authorization": authorization})


def test_the_log_is_read_with_either_kind_of_token_until_it_ends(okta: Okta, clock: Clock) -> None:
    events = okta.emitter.emit(2)
    bearer = f"Bearer {token(okta).json()['access_token']}"
    for authorization in (bearer, "SSWS static"):
        assert [event["uuid"] for event in ask(okta, authorization).json()] == ids(events)
    clock.move(3600)
    assert ask(okta, bearer).json()["errorCode"] == "E0000011"
    assert ask(okta, "Bearer static").status_code == 401


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"aud": f"{URL}/oauth2/default/v1/token"}, "invalid_client"),
        ({"iss": "other"}, "invalid_client"),
        ({"sub": "other"}, "invalid_client"),
        ({"exp": 1}, "invalid_client"),
        ({"kid": "other"}, "invalid_client"),
        ({"form": {"client_assertion": "no.such.thing"}}, "invalid_client"),
        ({"form": {"client_assertion_type": "", "client_secret": "x"}}, "invalid_client"),
        ({"form": {"scope": "okta.users.read"}}, "invalid_scope"),
        ({"form": {"grant_type": "password"}}, "unsupported_grant_type"),
    ],
)
def test_an_assertion_that_is_wrong_brings_no_token(okta: Okta, claims: dict[str, Any], error: str) -> None:
    assert token(okta, **claims).json()["error"] == error


def test_an_assertion_with_a_name_is_good_for_once(okta: Okta) -> None:
    assert [token(okta, jti="one").status_code for _ in range(2)] == [200, 401]


def test_without_a_service_application_there_are_no_tokens(clock: Clock) -> None:
    with serving(Okta(clock=clock)) as okta:
        assert token(okta).status_code == 404
