"""A token for a declared request, and client credentials in the spellings that only one vendor has."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.auth.login import LoginAuth
from flicker_dagster.simulator.digest import DigestGuard
from flicker_dagster.simulator.server import Request as Received
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, Request
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster_tests.transport.minting import SECRET, UNAUTHORISED, Clock, an_account, bearer, client, opened

ENV = {"USER": "flicker", "WORD": "pass-word-1"}


@pytest.fixture
def server(one_server: TokenServer, clock: Clock) -> TokenServer:
    one_server.reset(
        clients={"flicker": SECRET},
        account_ids=frozenset({"account-1"}),
        logins={"flicker": "pass-word-1"},
        clock=clock,
    )
    return one_server


def login(server: TokenServer, **keys: Any) -> LoginAuth:
    given = {
        "url": server.login_url,
        "token_field": "token",
        "expires_field": "expires_at",
        "json_body": {"username": "${USER}", "password": "${WORD}"},
        **keys,
    }
    found = LoginAuth(type="login", **given)
    assert found.faults() == []
    return found


# -- log-ins


@pytest.mark.parametrize(
    "sent",
    [{}, {"json_body": None, "form_body": {"username": "${USER}", "password": "${WORD}"}},
     {"json_body": None, "query": {"username": "${USER}", "password": "${WORD}"}}],
    ids=["json", "form", "query"],
)  # fmt: skip
def test_a_log_in_gives_a_token_until_its_time(server: TokenServer, clock: Clock, sent: dict[str, Any]) -> None:
    signer = opened(login(server, **sent), clock=clock, env=ENV)
    first = bearer(signer)
    assert server.accepts(first)
    assert server.asked == [{"username": "flicker", "password": "pass-word-1"}]
    clock.now_s += 3600 - 301
    assert bearer(signer) == first
    clock.now_s += 1
    assert bearer(signer) != first


def test_its_end_is_read_by_the_servers_clock(server: TokenServer, clock: Clock) -> None:
    slow, tokens = Clock(clock.now_s - 600), MemoryTokens()
    bearer(opened(login(server), tokens=tokens, clock=slow, env=ENV))
    kept = tokens.get("okta@sentinel")
    assert kept is not None
    assert kept.expires_ms == (slow.now_s + 3600) * 1000


def test_a_refused_log_in_is_told_without_the_password(server: TokenServer, clock: Clock) -> None:
    server.answers.append(Response.json({"message": "no pass-word-1 here"}, 401))
    with pytest.raises(AuthFailed, match=r"HTTP 401.*\*\*\*.*check url and the credentials") as failed:
        bearer(opened(login(server), clock=clock, env=ENV))
    assert "pass-word-1" not in str(failed.value)


def test_a_password_that_was_rotated_is_read_again(server: TokenServer, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "word"
    path.write_text("pass-word-1")
    auth = login(server, json_body={"username": "${USER}", "password": f"${{file:{path}}}"})
    signer = opened(auth, clock=clock, env=ENV)
    bearer(signer)
    server.revoke_all()
    server.logins["flicker"] = "pass-word-2"
    path.write_text("pass-word-2")
    assert signer.renew(UNAUTHORISED)
    assert server.accepts(bearer(signer))
    assert [form["password"] for form in server.asked] == ["pass-word-1", "pass-word-1", "pass-word-2"]


class Exchange:
    """Gives a token for a request that is signed as `wanted`; in the body, a header or a cookie."""

    def __init__(self, clock: Clock, how: str = "body") -> None:
        self.how = how
        self.seen: list[Received] = []
        self.guard: DigestGuard | None = None
        self.server = Server(self._handle, clock=clock)

    def _handle(self, request: Received) -> Response:
        self.seen.append(request)
        refused = None if self.guard is None else self.guard.refused(request)
        if refused is not None:
            return Response.json({}, 401, refused)
        if self.how == "header":
            return Response.json({}, 200, [("X-Session", "session-1")])
        if self.how == "cookie":
            return Response(302, b"", [("Set-Cookie", "other=1"), ("Set-Cookie", "SID=session-1; Path=/; HttpOnly")])
        return Response.json({"data": {"token": "session-1"}, "expires_at": "2026-09-21T15:13:20Z"}, 201)


@pytest.fixture
def exchange(clock: Clock) -> Iterator[Exchange]:
    found = Exchange(clock)
    yield found
    found.server.close()


def test_an_app_trades_its_own_jwt_for_a_token(exchange: Exchange, clock: Clock) -> None:
    private, public = an_account()
    auth = LoginAuth(
        type="login",
        url=f"{exchange.server.url}/app/installations/7/access_tokens",
        headers={"Accept": "application/vnd.github+json"},
        token_field="data.token",
        expires_field="expires_at",
        auth={"type": "jwt", "key_pem": "${KEY}", "claims": {"iss": "12345"}, "backdated_ms": 60_000},  # type: ignore[arg-type]
    )
    assert auth.faults() == []
    assert bearer(opened(auth, clock=clock, env={"KEY": private})) == "session-1"
    import jwt

    (asked,) = exchange.seen
    assert asked.headers["accept"] == "application/vnd.github+json"
    assert asked.body == b""
    options = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(asked.bearer(), public, algorithms=["RS256"], options=options)["iss"] == "12345"  # type: ignore[arg-type]


def test_a_log_in_may_answer_a_challenge(exchange: Exchange, clock: Clock) -> None:
    exchange.guard = DigestGuard({"flicker": "pass-word-1"}, clock=clock)
    nested = {"type": "digest", "username": "${USER}", "password": "${WORD}"}
    auth = LoginAuth(type="login", url=exchange.server.url, token_field="data.token", auth=nested)  # type: ignore[arg-type]
    assert bearer(opened(auth, clock=clock, env=ENV)) == "session-1"
    assert len(exchange.seen) == 2


@pytest.mark.parametrize(
    ("how", "keys", "sent"),
    [
        ("header", {"token_in": "header", "token_field": "X-Session", "header": "X-Session", "format": "{token}"},
         {"X-Session": "session-1"}),
        ("cookie", {"token_in": "cookie", "token_field": "SID", "header": "Cookie", "format": "SID={token}"},
         {"Cookie": "SID=session-1"}),
    ],
)  # fmt: skip
def test_a_session_may_stand_in_a_header_or_cookie(
    exchange: Exchange, clock: Clock, how: str, keys: dict[str, str], sent: dict[str, str]
) -> None:
    exchange.how = how
    auth = TypeAdapter(Auth).validate_python(
        {"type": "login", "url": exchange.server.url, "form_body": {"u": "x"}, **keys}
    )
    signed = opened(auth, clock=clock, env={}).sign(Request("GET", "https://a.example/"))
    assert signed.headers == sent


# -- client credentials as vendors want them


@pytest.mark.parametrize(
    "keys",
    [
        {"parameters_in": "json"},
        {"client_auth": "basic", "parameters_in": "query"},
        {"client_auth": "basic", "parameters_in": "query", "grant_type": "account_credentials",
         "parameters": {"account_id": "account-1"}},
        {"client_auth": "headers", "parameters_in": "query",
         "client_headers": {"Authorization": "client_id:{client_id}, client_secret:{client_secret}"}},
    ],
    ids=["json", "query", "account_credentials", "own header"],
)  # fmt: skip
def test_client_credentials_stand_where_each_vendor_wants_them(
    server: TokenServer, clock: Clock, keys: dict[str, Any]
) -> None:
    auth = client(server.url, **keys)
    assert auth.faults() == []
    assert server.accepts(bearer(opened(auth, clock=clock)))
    (given,) = server.asked
    assert given["grant_type"] == keys.get("grant_type", "client_credentials")
    assert ("client_secret" in given) is (keys.get("client_auth", "form") == "form")


def test_a_token_is_sent_as_declared(server: TokenServer, clock: Clock) -> None:
    signer = opened(client(server.url, format="bearer:{token}", header="X-Auth"), clock=clock)
    headers = signer.sign(Request("GET", "https://a.example/")).headers
    assert headers == {"X-Auth": f"bearer:{server.minted[0].value}"}


@pytest.mark.parametrize(
    ("description", "told"),
    [
        ("AADSTS7000222: The provided client secret keys are expired.", "make a new client secret"),
        ("AADSTS90002: Tenant 'x' not found.", "there is no such tenant"),
        ("AADSTS7000215: Invalid client secret provided.", "check client_id and client_secret"),
    ],
)
def test_what_to_do_is_said_in_the_presets_words(
    server: TokenServer, clock: Clock, description: str, told: str
) -> None:
    explain = {"AADSTS7000222": "make a new client secret", "AADSTS90002": "there is no such tenant: check it"}
    server.answers.append(Response.json({"error": "invalid_client", "error_description": description}, 401))
    with pytest.raises(AuthFailed, match=told):
        bearer(opened(client(server.url, explain=explain), clock=clock))


def test_a_refusal_by_the_api_is_explained(server: TokenServer, clock: Clock) -> None:
    signer = opened(client(server.url), clock=clock)
    bearer(signer)
    lacking = {"www-authenticate": 'Bearer realm="x", error="insufficient_scope", scope="audit.read"'}
    assert "lacks a scope, which asks for audit.read" in signer.explain(Answer(403, lacking))
    assert "may not do this: check scope" in signer.explain(Answer(403, {}))
    assert signer.explain(UNAUTHORISED) == ""
    signer.renew(UNAUTHORISED)
    bearer(signer)
    assert "a new token is refused as well: check audience" in signer.explain(UNAUTHORISED)


def test_a_secret_that_was_rotated_is_read_again(server: TokenServer, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    signer = opened(client(server.url, client_secret=f"${{file:{path}}}"), clock=clock)
    server.clients["flicker"] = "another-secret"
    path.write_text("another-secret")
    assert server.accepts(bearer(signer))
    assert len(server.asked) == 2


def test_a_basic_header_encodes_id_and_secret_as_a_form_does(server: TokenServer, clock: Clock) -> None:
    server.clients = {"id with:colon": SECRET}
    assert server.accepts(
        bearer(opened(client(server.url, client_id="id with:colon", client_auth="basic"), clock=clock))
    )


def test_basic_is_what_it_says() -> None:
    header = "Basic " + base64.b64encode(b"a:b").decode()
    auth = TypeAdapter(Auth).validate_python({"type": "basic", "username": "a", "password": "b"})
    assert opened(auth, clock=Clock()).sign(Request("GET", "https://a.example/")).headers["Authorization"] == header
