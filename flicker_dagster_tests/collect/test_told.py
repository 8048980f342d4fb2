"""What an exchange tells of account, rights and clock."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from flicker_dagster.collect.heard import Heard
from flicker_dagster.collect.told import told_by
from flicker_dagster.transport.exchange import Request

NOW_MS = 1_775_000_000_500
DATE = "Tue, 31 Mar 2026 23:33:20 GMT"  # NOW_MS without its fraction


def jwt(**claims: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"


def heard(
    headers: dict[str, str] | None = None, *, token: str = "opaque", status: int = 200, body: object = None
) -> Heard:
    request = Request("GET", "https://a.invalid", {"Authorization": f"Bearer {token}"})
    refusal = b"" if body is None else json.dumps(body).encode()
    return Heard(request, status, headers or {}, NOW_MS - 50, NOW_MS + 50, refusal)


def test_a_token_that_is_a_jwt_says_who_with_which_rights_until_when() -> None:
    token = jwt(sub="ana@acme.test", appid="app-1", scp="logs.read users.read", exp=NOW_MS // 1000 + 60)
    told = told_by(heard(token=token))
    assert told.who == [("sub", "ana@acme.test"), ("appid", "app-1")]
    assert told.rights == ["logs.read", "users.read"]
    assert told.ends_ms == (NOW_MS // 1000 + 60) * 1000


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "eyJhbGciOi.W10aaaaaa.x", "aaaaaaaa.!!!!!!!!.x", "aaaaaaaa.aaaaaaaaa.x"]
)
def test_any_other_token_says_nothing(token: str) -> None:
    told = told_by(heard(token=token))
    assert (told.who, told.rights, told.missing, told.ends_ms) == ([], None, [], None)


def test_headers_say_it_as_well() -> None:
    told = told_by(heard({"X-OAuth-Scopes": "read:org, repo", "X-AUSERNAME": "ana"}))
    assert told.rights == ["read:org", "repo"]
    assert told.who == [("x-ausername", "ana")]


@pytest.mark.parametrize(
    ("headers", "body", "missing"),
    [
        ({"X-OAuth-Scopes": "repo", "X-Accepted-OAuth-Scopes": "read:audit_log, admin:org"}, None,
         ["read:audit_log or admin:org"]),
        ({"X-OAuth-Scopes": "admin:org", "X-Accepted-OAuth-Scopes": "read:audit_log, admin:org"}, None, []),
        ({"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="okta.logs.read"'}, None, ["okta.logs.read"]),
        ({}, {"ok": False, "error": "missing_scope", "needed": "auditlogs:read"}, ["auditlogs:read"]),
        ({}, ["no", "object"], []),
        ({}, None, []),
    ],
)  # fmt: skip
def test_a_refusal_may_name_the_right_that_is_missing(
    headers: dict[str, str], body: object, missing: list[str]
) -> None:
    assert told_by(heard(headers, status=403, body=body)).missing == missing


def test_an_answer_misses_nothing() -> None:
    headers = {"X-OAuth-Scopes": "repo", "X-Accepted-OAuth-Scopes": "read:audit_log"}
    assert told_by(heard(headers)).missing == []


@pytest.mark.parametrize(
    ("date", "ahead_ms"),
    [
        (DATE, 0),
        ("Tue, 31 Mar 2026 23:33:21 GMT", 450),
        ("Tue, 31 Mar 2026 23:34:20 GMT", 59_450),
        ("Tue, 31 Mar 2026 23:32:20 GMT", -59_451),
        ("never", None),
        (None, None),
    ],
)
def test_clocks_differ_where_the_time_between_request_and_answer_does_not_explain_it(
    date: str | None, ahead_ms: int | None
) -> None:
    told = told_by(heard({} if date is None else {"Date": date}))
    assert told.ahead_ms == ahead_ms
