"""OAuth2 client credentials: what a refusal is told as, and what goes on in spite of it."""

from __future__ import annotations

import threading

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.simulator.server import Response
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.tokens import MemoryTokens, Token
from flicker_dagster_tests.transport.minting import SECRET, Clock, bearer, client, opened

# -- refusals


@pytest.mark.parametrize(
    ("answer", "retryable", "after_s", "told"),
    [
        (Response.json({"error": "invalid_client"}, 401), False, None, "check client_id and client_secret"),
        (
            Response.json({"error": "invalid_client", "error_description": "AADSTS7000222: secret is expired"}, 401),
            False,
            None,
            "AADSTS7000222",
        ),
        (Response.json({"error": "invalid_scope"}, 400), False, None, "check scope"),
        (Response.json({"error": "invalid_target"}, 400), False, None, "check audience"),
        (Response.json({"error": "unauthorized_client"}, 400), False, None, "allow this client"),
        (Response.json({"error": "unsupported_grant_type"}, 400), False, None, "check token_url"),
        (Response.json({"error": "invalid_request"}, 400), False, None, "check client_auth"),
        (Response.json({"error": "never_heard_of"}, 400), False, None, "check token_url and the credentials"),
        (Response.json({"error": ["odd"]}, 400), False, None, "HTTP 400"),
        (Response.json({"error": "invalid_client"}, 200), False, None, "check client_id"),
        (Response.json({"error": "temporarily_unavailable"}, 400), True, None, "temporarily_unavailable"),
        (Response.json({}, 429, [("Retry-After", "17")]), True, 17.0, "HTTP 429"),
        (Response.json({}, 503, [("Retry-After", "99999")]), True, 900.0, "HTTP 503"),
        (Response(500, b""), True, None, "HTTP 500"),
        (Response(502, b"<html>Bad Gateway</html>"), True, None, "HTML"),
        (Response(404, b"<html>nothing here</html>"), False, None, "check token_url"),
        (Response(302, b"", [("Location", "https://elsewhere.example/")]), False, None, "redirect"),
        (Response(403, b""), False, None, "HTTP 403"),
        (Response(200, b"<html>Sign in</html>"), False, None, "HTML"),
        (Response(200, b""), False, None, "an empty answer"),
        (Response(200, b"[1]"), False, None, "expected a JSON object"),
        (Response(200, b'{"access_token":"cut of'), False, None, "expected a JSON object"),
        (Response.json({"access_token": ""}), False, None, "fits no header"),
        (Response.json({"access_token": "two\r\nlines-of-a-token"}), False, None, "fits no header"),
        (Response.json({"access_token": 7}), False, None, "fits no header"),
        (Response.json({"token": "x"}), False, None, "no access_token"),
        (Response.json({"access_token": "abc", "token_type": "mac"}), False, None, "expected Bearer"),
        (Response(200, b'{"access_token":"' + b"a" * 300_000 + b'"}'), True, None, "too large"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(
    server: TokenServer, clock: Clock, answer: Response, retryable: bool, after_s: float | None, told: str
) -> None:
    server.answers.append(answer)
    with pytest.raises(AuthFailed, match=r"the token endpoint http://127\.0\.0\.1:") as failed:
        bearer(opened(client(server.url), clock=clock))
    assert told in str(failed.value)
    assert failed.value.retryable is retryable
    assert failed.value.after_s == after_s
    assert "lines-of-a-token" not in str(failed.value)


@pytest.mark.parametrize("kind", ["cut", "truncated"])
def test_an_answer_that_is_cut_is_no_token(server: TokenServer, clock: Clock, kind: str) -> None:
    server.faults.plan(kind)
    with pytest.raises(AuthFailed):
        bearer(opened(client(server.url), clock=clock))


def test_a_clock_that_is_wrong_is_told(server: TokenServer, clock: Clock) -> None:
    slow = Clock(clock.now_s - 420)
    with pytest.raises(AuthFailed, match=r"invalid_client.*clock is 420 s behind"):
        bearer(opened(client(server.url), clock=slow, env={"SECRET": "another"}))


def test_nobody_there_passes(clock: Clock) -> None:
    with pytest.raises(AuthFailed, match="cannot connect") as failed:
        bearer(opened(client("http://127.0.0.1:1/token"), clock=clock))
    assert failed.value.retryable


def test_an_answer_that_never_comes_ends_with_the_run(server: TokenServer, clock: Clock) -> None:
    server.faults.plan("slow", seconds=20)
    auth = opened(client(server.url), clock=clock, ends=lambda: Deadline.after(0.2, "limits.run_seconds (600)"))
    with pytest.raises(AuthFailed, match="run_seconds") as failed:
        bearer(auth)
    assert failed.value.retryable


def test_who_is_told_to_wait_does_not_ask_before(server: TokenServer, clock: Clock) -> None:
    server.faults.plan("429", retry_after="30")
    auth = opened(client(server.url), clock=clock)
    for _ in range(3):
        with pytest.raises(AuthFailed, match="429"):
            bearer(auth)
    assert len(server.asked) == 1
    clock.now_s += 30
    assert server.accepts(bearer(auth))


def test_a_secret_that_the_server_repeats_is_masked(server: TokenServer, clock: Clock) -> None:
    server.answers.append(Response.json({"error": "invalid_client", "error_description": f"no {SECRET} here"}, 401))
    with pytest.raises(AuthFailed) as failed:
        bearer(opened(client(server.url), clock=clock))
    assert SECRET not in str(failed.value)
    assert "***" in str(failed.value)


# -- what goes on in spite of it


@pytest.mark.parametrize("kind", ["503", "html"])
def test_a_renewal_ahead_of_time_that_fails_costs_nothing(server: TokenServer, clock: Clock, kind: str) -> None:
    auth = opened(client(server.url), clock=clock)
    first = bearer(auth)
    clock.now_s += 3400
    server.faults.plan(kind, count=None)
    assert bearer(auth) == bearer(auth) == first
    assert len(server.asked) == 2, "asked once, not at each request"
    clock.now_s += 200
    with pytest.raises(AuthFailed):
        bearer(auth)
    server.faults.clear()
    assert server.accepts(bearer(auth))


class BrokenTokens:
    """A store that cannot be used."""

    def get(self, key: str) -> Token | None:
        raise StateError("cannot read s3://bucket/tokens/x")

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        raise StateError("cannot write s3://bucket/tokens/x")

    def minting(self, key: str) -> threading.Lock:
        raise StateError("cannot lock s3://bucket/tokens/x")


def test_a_store_that_is_away_costs_a_warning(
    server: TokenServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    auth = opened(client(server.url), tokens=BrokenTokens(), clock=clock)  # type: ignore[arg-type]
    first = bearer(auth)
    clock.now_s += 3400
    assert bearer(auth) != first
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [("3599", 3599), (3599.9, 3599.9), (None, None), ("soon", None), (True, None), (-1, None)],
)
def test_expires_in_is_read_as_servers_send_it(
    server: TokenServer, clock: Clock, expires_in: object, seconds: float | None
) -> None:
    tokens = MemoryTokens()
    server.answers.append(Response.json({"access_token": "abc", "expires_in": expires_in}))
    bearer(opened(client(server.url), tokens=tokens, clock=clock))
    token = tokens.get("okta@sentinel")
    assert token is not None
    assert token.expires_ms == (None if seconds is None else int((clock.now_s + seconds) * 1000))


def test_a_token_shows_itself_nowhere(server: TokenServer, clock: Clock) -> None:
    auth = opened(client(server.url), clock=clock)
    value = bearer(auth)
    assert auth.secrets() == (value,)
    token = Token(value, refresh=f"refresh-{value}", extra={"x": value})
    assert value not in repr(token) + str(token) + f"{token!s}" + str(list(token.__rich_repr__())) + repr([token])
