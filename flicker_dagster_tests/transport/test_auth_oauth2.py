"""OAuth2 client credentials: how a token is asked for, how long it serves, and what renews it."""

from __future__ import annotations

import threading

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.records import Tls
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster_tests.transport.minting import SECRET, UNAUTHORISED, Clock, bearer, client, opened

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
