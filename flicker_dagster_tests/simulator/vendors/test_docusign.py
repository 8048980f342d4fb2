"""The simulated Monitor keeps the rules of DocuSign's Monitor 2.0 specification and JWT grant."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import requests

from flicker_dagster.simulator.grants import JWT_BEARER
from flicker_dagster.simulator.vendors.docusign import DocuSign
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served

URL = "https://lens.docusign.net/api/v2.0/datasets/monitor/stream"
TOKEN_URL = "https://account.docusign.com/oauth/token"

docusign = served(DocuSign)


def token(docusign: DocuSign, *, url: str = TOKEN_URL, grant: str = JWT_BEARER, **claims: Any) -> requests.Response:
    now_s = int(docusign.clock())
    said = {
        "iss": docusign.params["integration_key"],
        "sub": docusign.params["user_id"],
        "aud": "account.docusign.com",
        "scope": "signature impersonation",
        "iat": now_s,
        "exp": now_s + 3600,
    }
    assertion = jwt.encode(said | claims, docusign.params["private_key"], algorithm="RS256")
    return call(docusign, url, method="POST", data={"grant_type": grant, "assertion": assertion})


def ask(docusign: DocuSign, bearer: str | None = None, **params: Any) -> requests.Response:
    bearer = bearer or token(docusign).json()["access_token"]
    return call(docusign, URL, params, headers={"Authorization": f"Bearer {bearer}"})


def found(answer: requests.Response) -> list[str]:
    return [row["eventId"] for row in answer.json()["data"]]


def test_a_cursor_begins_as_a_date_and_is_kept_for_ever(docusign: DocuSign, clock: Clock) -> None:
    docusign.emitter.emit(1, at_ms=clock.ago_ms(600))
    clock.move(300)
    start = rfc3339_ms(clock.now_ms)
    events = ids(docusign.emitter.emit(5))
    answer = ask(docusign, cursor=start, limit=3)
    walked = found(answer)
    assert len(walked) == 2  # a limit is not honoured
    while found(answer):
        answer = ask(docusign, cursor=answer.json()["endCursor"], limit=3)
        walked += found(answer)
    assert walked == events
    end = answer.json()["endCursor"]
    assert ask(docusign, cursor=end).json() == {"endCursor": end, "data": []}
    late = ids(docusign.emitter.emit(1, at_ms=clock.ago_ms(200)))
    assert found(ask(docusign, cursor=end)) == late


@pytest.mark.parametrize("params", [{"limit": 2001}, {"limit": 0}, {"cursor": "soon"}, {"since": "2026-03-02"}])
def test_what_it_does_not_take_is_refused(docusign: DocuSign, params: dict[str, Any]) -> None:
    assert (ask(docusign, **params).status_code) == 400


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"aud": "https://account.docusign.com"}, "invalid_grant"),
        ({"iss": "someone"}, "invalid_grant"),
        ({"sub": "someone"}, "invalid_grant"),
        ({"exp": 4_000_000_000}, "invalid_grant"),
        ({"iat": 1_700_000_000, "exp": 1_700_003_600}, "invalid_grant"),
        ({"scope": "signature"}, "consent_required"),
        ({"scope": "impersonation organization_read"}, "consent_required"),
        ({"grant": "client_credentials"}, "unsupported_grant_type"),
        ({"url": "https://lens.docusign.net/oauth/token"}, "invalid_request"),
    ],
)
def test_a_wrong_assertion_gets_no_token(docusign: DocuSign, claims: dict[str, Any], error: str) -> None:
    answer = token(docusign, **claims)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_tokens_end_and_the_quota_does_not_count_them(docusign: DocuSign, clock: Clock) -> None:
    bearer = token(docusign).json()["access_token"]
    assert ask(docusign, bearer).status_code == 200
    clock.move(3601)
    assert ask(docusign, bearer).json()["errorCode"] == "AUTHORIZATION_INVALID_TOKEN"
    bearer = token(docusign).json()["access_token"]
    docusign.per_minute = 0
    assert ask(docusign, bearer).status_code == 429
    assert token(docusign).status_code == 200
