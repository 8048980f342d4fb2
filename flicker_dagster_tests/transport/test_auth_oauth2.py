"""OAuth2 client credentials: how a token is asked for, how long it serves, and what a refusal is told as."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.records import Tls
from flicker_dagster.errors import StateError
from flicker_dagster.simulator.server import Response
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer
from flicker_dagster.transport.tokens import MemoryTokens, Token
from flicker_dagster_tests.transport.minting import SECRET, UNAUTHORISED, Clock, bearer, client, opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def one_server() -> Iterator[TokenServer]:
    found = TokenServer()
    yield found
    found.close()


@pytest.fixture
def server(one_server: TokenServer, clock: Clock) -> TokenServer:
    one_server.reset(clients={"flicker": SECRET}, clock=clock)
    return one_server


# -- asking


@pytest.mark.parametrize("client_auth", ["form", "basic"])
def test_client_id_and_secret_are_sent_where_the_server_wants_them(
    server: TokenServer, clock: Clock, client_auth: str
) -> None:
    token = bearer(opened(client(server.url, client_auth=client_auth), clock=clock))
    assert server.accepts(token)
    assert ("client_secret" in server.asked[0]) is (client_auth == "form")


def test_scope_audience_and_parameters_are_sent_beside(server: TokenServer, clock: Clock) -> None:
    auth = client(
        server.url, scope="https://monitor.azure.com//.default", audience="siem", parameters={"resource": "${WHICH}"}
    )
    bearer(opened(auth, clock=clock, env={"SECRET": SECRET, "WHICH": "logs"}))
    (form,) = server.asked
    assert form == {
        "grant_type": "client_credentials",
        "scope": "https://monitor.azure.com//.default",
        "audience": "siem",
        "resource": "logs",
        "client_id": "flicker",
        "client_secret": SECRET,
    }


@pytest.mark.parametrize("name", ["grant_type", "client_secret", "scope"])
def test_parameters_may_not_name_what_is_sent_anyway(name: str) -> None:
    ((key, what),) = client("https://a.example/token", parameters={name: "x"}).faults()
    assert key == f"parameters.{name}"
    assert "expected" in what


@pytest.mark.parametrize("url", ["login.example/token", "https://user:word@a.example/", "https://a.example:0/"])
@pytest.mark.parametrize("kind", ["http", "otlp", "opensearch"])
def test_a_token_url_that_cannot_be_asked_is_a_fault_of_the_destination(kind: str, url: str) -> None:
    def faults(auth: object) -> list[str]:
        record = destination_adapter().validate_python({"type": kind, "endpoint": "https://a.example", "auth": auth})
        return [key for key, _ in record.all_faults()]

    assert faults(client(url)) == ["auth.token_url"]
    assert faults(client("${URL}", tls=Tls(cert_path="one.pem"))) == ["auth.tls.key_path"]
    assert faults(client("${URL}")) == []


@pytest.mark.parametrize("url", ["not an address", "ftp://a.example/token", "https://a b/"])
def test_an_address_that_is_none_is_told_when_it_is_opened(url: str, clock: Clock) -> None:
    with pytest.raises(ValueError, match="token endpoint"):
        opened(client(url), clock=clock)


# -- one token for its whole life


def test_a_token_serves_until_shortly_before_its_end(server: TokenServer, clock: Clock) -> None:
    auth = opened(client(server.url, renew_before_ms=300_000), clock=clock)
    first = bearer(auth)
    clock.now_s += 3600 - 301
    assert bearer(auth) == first
    clock.now_s += 1
    assert bearer(auth) != first
    assert len(server.minted) == 2


def test_a_token_of_a_short_life_serves_for_half_of_it(server: TokenServer, clock: Clock) -> None:
    server.lifetime_s = 60
    auth = opened(client(server.url, renew_before_ms=300_000), clock=clock)
    first = bearer(auth)
    clock.now_s += 29
    assert bearer(auth) == first
    clock.now_s += 1
    assert bearer(auth) != first


def test_many_threads_and_lanes_ask_once(server: TokenServer, clock: Clock) -> None:
    server.faults.plan("slow", seconds=0.2)
    tokens = MemoryTokens()
    lanes = [opened(client(server.url), tokens=tokens, clock=clock) for _ in range(3)]
    found: list[str] = []
    threads = [threading.Thread(target=lambda lane=lane: found.append(bearer(lane))) for lane in lanes * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == len(server.minted) == 1


def test_the_next_run_finds_the_token_of_the_last(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    first = bearer(opened(client(server.url), tokens=tokens, clock=clock))
    clock.now_s += 600
    assert bearer(opened(client(server.url), tokens=tokens, clock=clock)) == first


@pytest.mark.parametrize(
    "changed", [{"scope": "other"}, {"audience": "other"}, {"parameters": {"resource": "other"}}, {"client_id": "two"}]
)
def test_a_token_of_another_configuration_is_of_no_use(
    server: TokenServer, clock: Clock, changed: dict[str, object]
) -> None:
    server.clients["two"] = SECRET
    tokens = MemoryTokens()
    first = bearer(opened(client(server.url), tokens=tokens, clock=clock))
    second = bearer(opened(client(server.url, **changed), tokens=tokens, clock=clock))
    assert second != first
    assert bearer(opened(client(server.url, **changed), tokens=tokens, clock=clock)) == second


def test_a_new_secret_is_tried_at_once(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    bearer(opened(client(server.url), tokens=tokens, clock=clock))
    with pytest.raises(AuthFailed, match="invalid_client"):
        bearer(opened(client(server.url), tokens=tokens, clock=clock, env={"SECRET": "mistyped-secret"}))


# -- after a 401


def test_a_refused_token_is_renewed_once(server: TokenServer, clock: Clock) -> None:
    auth = opened(client(server.url), clock=clock)
    first = bearer(auth)
    server.revoke_all()
    assert auth.renew(UNAUTHORISED)
    second = bearer(auth)
    assert server.accepts(second)
    assert second != first
    assert not auth.renew(UNAUTHORISED), "the new token is refused as well: it is not the token's fault"
    clock.now_s += 61
    assert auth.renew(UNAUTHORISED)


def test_only_a_401_is_about_the_token(server: TokenServer, clock: Clock) -> None:
    auth = opened(client(server.url), clock=clock)
    bearer(auth)
    assert not auth.renew(Answer(403, {}))
    assert len(server.minted) == 1


def test_threads_that_were_refused_together_renew_together(server: TokenServer, clock: Clock) -> None:
    auth = opened(client(server.url), clock=clock)
    signed, refused = threading.Barrier(4), []

    def work() -> None:
        bearer(auth)
        signed.wait()
        refused.append(auth.renew(UNAUTHORISED))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == [True] * 4
    assert len(server.minted) == 2


def test_another_process_may_have_renewed_it_already(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    ours, others = (opened(client(server.url), tokens=tokens, clock=clock) for _ in range(2))
    assert bearer(ours) == bearer(others)
    assert others.renew(UNAUTHORISED)
    assert ours.renew(UNAUTHORISED)
    assert bearer(ours) == bearer(others)
    assert len(server.minted) == 2


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
