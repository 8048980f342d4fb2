"""Google service accounts: what is signed, and what is told of a key that is none."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from flicker_dagster.config.auth.signed import GoogleServiceAccount
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.signing import Signer
from flicker_dagster_tests.transport.minting import EMAIL, Clock, a_key, an_account, bearer, google, opened

PRIVATE, PUBLIC = an_account()


@pytest.fixture
def server(one_server: TokenServer, clock: Clock) -> TokenServer:
    one_server.reset(accounts={EMAIL: PUBLIC}, clock=clock)
    return one_server


def test_the_key_of_a_file_signs_an_assertion_that_is_traded_for_a_token(
    server: TokenServer, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    path.write_text(a_key(server, PRIVATE))
    auth = google(key_file="${KEY}", subject="admin@customer.example")
    assert server.accepts(bearer(opened(auth, clock=clock, env={"KEY": str(path)})))
    assertion = server.asked[0]["assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert jwt.decode(assertion, options={"verify_signature": False}) == {
        "iss": EMAIL,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": server.url,
        "iat": int(clock.now_s),
        "exp": int(clock.now_s) + 3600,
        "sub": "admin@customer.example",
    }


def test_the_key_may_stand_in_a_variable(server: TokenServer, clock: Clock) -> None:
    auth = google(key_json="${KEY}", scope="one two")
    assert server.accepts(bearer(opened(auth, clock=clock, env={"KEY": a_key(server, PRIVATE)})))
    assert "sub" not in jwt.decode(server.asked[0]["assertion"], options={"verify_signature": False})


def test_a_key_that_was_deleted_is_told(server: TokenServer, clock: Clock) -> None:
    other, _ = an_account()
    with pytest.raises(AuthFailed, match=r"invalid_grant.*check that the account and its key still exist") as failed:
        bearer(opened(google(key_json=a_key(server, other).replace("$", "$$")), clock=clock))
    assert not failed.value.retryable


def test_a_clock_that_is_wrong_is_told(server: TokenServer, clock: Clock) -> None:
    slow = Clock(clock.now_s - 7200)
    with pytest.raises(AuthFailed, match=r"this machine's clock is 7200 s behind the server's"):
        bearer(opened(google(key_json=a_key(server, PRIVATE)), clock=slow))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not json", "is no private key, expected a PEM, a JWK, or JSON"),
        ("{}", r"holds no private key at private_key \(it has nothing\)"),
        ('{"type":"service_account","client_email":"a","private_key":7}', "holds no private key at private_key"),
        (
            '{"type":"authorized_user","client_id":"a","refresh_token":"verysecretvalue"}',
            r"it has type, client_id, refresh_token\), expected a PEM there; check that it is the key's file",
        ),
        ('{"type":"service_account","client_email":"a","private_key":"verysecretvalue"}', "expected a PEM"),
        (
            '{"type":"service_account","client_email":"a","private_key":"x","token_uri":"nowhere"}',
            "expected a PEM",
        ),
    ],
)
def test_what_is_no_key_is_told_without_showing_it(clock: Clock, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=told) as failed:
        opened(google(key_file=str(path)), clock=clock)
    assert "verysecretvalue" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_key_that_is_not_there_is_told_by_its_path(clock: Clock, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.json cannot be read: No such file"):
        opened(google(key_file=str(tmp_path / "gone.json")), clock=clock)


def test_a_token_uri_that_is_no_address_is_told(server: TokenServer, clock: Clock) -> None:
    with pytest.raises(ValueError, match="token endpoint"):
        opened(google(key_json=a_key(server, PRIVATE, token_uri="nowhere")), clock=clock)


@pytest.mark.parametrize("keys", [{}, {"key_file": "a", "key_json": "b"}])
def test_one_key_is_expected(keys: dict[str, str]) -> None:
    assert [key for key, _ in google(**keys).faults()] == ["key_file"]


def test_the_key_is_in_no_text(server: TokenServer) -> None:
    record = GoogleServiceAccount(type="google_service_account", key_json=a_key(server, PRIVATE)).written_out()
    found = Signer(record, env={})
    assert json.loads(a_key(server, PRIVATE))["private_key"][40:80] not in repr(found)
