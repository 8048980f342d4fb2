"""Assertions and tokens that are signed with a private key, read from every form in which vendors give keys."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm
from pydantic import TypeAdapter

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.config.auth.signed import JwtAuth, OAuth2JwtBearer
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, Request
from flicker_dagster_tests.transport.minting import SECRET, UNAUTHORISED, Clock, an_account, bearer, opened

PRIVATE, PUBLIC = an_account()
RSA_KEY: Any = serialization.load_pem_private_key(PRIVATE.encode(), None)


@pytest.fixture
def server(one_server: TokenServer, clock: Clock) -> TokenServer:
    one_server.reset(accounts={"issuer-1": PUBLIC}, client_keys={"flicker": PUBLIC}, clock=clock)
    return one_server


def traded(server: TokenServer, **keys: Any) -> OAuth2JwtBearer:
    given = {"token_url": server.url, "claims": {"iss": "issuer-1"}, **keys}
    found = OAuth2JwtBearer(type="oauth2_jwt_bearer", **given)
    assert found.faults() == []
    return found


def pem_of(key: Any, passphrase: bytes | None = None) -> str:
    lock = serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def public_of(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# -- keys as they are given


def test_a_pem_may_stand_in_a_variable_with_escaped_line_ends(server: TokenServer, clock: Clock) -> None:
    auth = traded(server, key_pem="${KEY}")
    env = {"KEY": PRIVATE.replace("\n", "\\n")}
    assert server.accepts(bearer(opened(auth, clock=clock, env=env)))


def test_a_configuration_of_an_application_is_read_by_its_paths(
    server: TokenServer, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "app.json"
    settings = {
        "clientID": "issuer-1",
        "clientSecret": "app-secret",
        "appAuth": {"publicKeyID": "kid-7", "privateKey": pem_of(RSA_KEY, b"pass"), "passphrase": "pass"},
    }
    path.write_text(json.dumps({"boxAppSettings": settings, "enterpriseID": 12345}))
    auth = traded(
        server,
        key_file=str(path),
        key_field="boxAppSettings.appAuth.privateKey",
        key_passphrase="{key.boxAppSettings.appAuth.passphrase}",
        key_id="{key.boxAppSettings.appAuth.publicKeyID}",
        client_id="{key.boxAppSettings.clientID}",
        client_secret="{key.boxAppSettings.clientSecret}",
        assertion_ms=45_000,
        claims={"iss": "{client_id}", "sub": "{key.enterpriseID}", "box_sub_type": "enterprise", "jti": "{uuid}"},
    )
    signer = opened(auth, clock=clock, env={})
    assert server.accepts(bearer(signer))
    server.revoke_all()
    assert signer.renew(UNAUTHORISED), "another jti: the server knows the first"
    form = server.asked[0]
    assert (form["client_id"], form["client_secret"]) == ("issuer-1", "app-secret")
    assert jwt.get_unverified_header(form["assertion"])["kid"] == "kid-7"
    first, second = server.assertions.seen
    assert {name: first[name] for name in ("iss", "sub", "aud", "box_sub_type")} == {
        "iss": "issuer-1",
        "sub": "12345",
        "aud": server.url,
        "box_sub_type": "enterprise",
    }
    assert first["exp"] - first["iat"] == 45
    assert first["jti"] != second["jti"]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
        (RSA_KEY, "PS256"),
        (RSA_KEY, "RS512"),
    ],
    ids=["ES256", "ES384", "EdDSA", "PS256", "RS512"],
)
def test_other_algorithms_sign_as_well(server: TokenServer, clock: Clock, key: Any, algorithm: str) -> None:
    server.accounts["issuer-1"] = public_of(key)
    auth = traded(server, key_pem="${KEY}", algorithm=algorithm)
    assert server.accepts(bearer(opened(auth, clock=clock, env={"KEY": pem_of(key)})))


def test_a_jwk_is_a_key_as_well(server: TokenServer, clock: Clock) -> None:
    jwk = json.loads(RSAAlgorithm.to_jwk(RSA_KEY)) | {"kid": "jwk-1"}
    auth = OAuth2ClientCredentials(
        type="oauth2_client_credentials",
        token_url=server.url,
        client_id="flicker",
        client_auth="private_key_jwt",
        key_json="${KEY}",
        scope="okta.logs.read",
    )
    assert auth.faults() == []
    signer = opened(auth, clock=clock, env={"KEY": json.dumps(jwk)})
    assert server.accepts(bearer(signer))
    server.revoke_all()
    assert signer.renew(UNAUTHORISED)
    form = server.asked[0]
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in form
    assert jwt.get_unverified_header(form["client_assertion"])["kid"] == "jwk-1"
    claims = jwt.decode(form["client_assertion"], options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("flicker", "flicker", server.url)


def test_a_certificate_beside_the_key_is_named(server: TokenServer, clock: Clock) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flicker")])
    begin, end = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2030, 1, 1, tzinfo=timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, RSA_KEY.public_key(), x509.random_serial_number(), begin, end)
        .sign(RSA_KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    auth = traded(server, key_pem="${KEY}", assertion_headers={"x5t": "{certificate_sha1}"})
    bearer(opened(auth, clock=clock, env={"KEY": PRIVATE + certificate}))
    named = jwt.get_unverified_header(server.asked[0]["assertion"])["x5t"]
    expected = x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA1())
    assert base64.urlsafe_b64decode(named + "=") == expected


@pytest.mark.parametrize(
    ("keys", "text", "told"),
    [
        ({}, "a secret word", "key_pem is no private key, expected a PEM, a JWK, or JSON that holds a PEM"),
        ({"algorithm": "ES256"}, PRIVATE, "is no private key for ES256; check the key and algorithm"),
        ({"algorithm": "ES384"}, pem_of(ec.generate_private_key(ec.SECP256R1())), "is a key of 256 bits, which ES384"),
        ({}, pem_of(RSA_KEY, b"pass"), "is encrypted and key_passphrase is missing"),
        ({"key_passphrase": "wrong"}, pem_of(RSA_KEY, b"pass"), r"cannot be read \(or the passphrase is wrong\)"),
        ({"key_passphrase": "pass"}, PRIVATE, "is not encrypted"),
        ({"claims": {"iss": "{key.iss}"}}, PRIVATE, r"holds no text at iss, expected one for \{key.iss\}"),
        ({"assertion_headers": {"x5t": "{certificate_sha1}"}}, PRIVATE, "holds no certificate"),
        ({}, '{"kty":"RSA","n":"x"}', "is a JWK that cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_it(
    server: TokenServer, clock: Clock, keys: dict[str, Any], text: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as failed:
        opened(traded(server, key_pem="${KEY}", **keys), clock=clock, env={"KEY": text})
    assert "secret word" not in str(failed.value)
    assert failed.value.__cause__ is None


# -- what servers say of them


def test_consent_that_is_missing_is_told_in_the_presets_words(server: TokenServer, clock: Clock) -> None:
    server.consented = False
    auth = traded(server, key_pem="${KEY}", explain={"consent_required": "grant consent once at https://example.test"})
    with pytest.raises(AuthFailed, match=r"consent_required.*; grant consent once at https://example\.test") as failed:
        bearer(opened(auth, clock=clock, env={"KEY": PRIVATE}))
    assert not failed.value.retryable


def test_an_audience_of_another_form_is_declared(server: TokenServer, clock: Clock) -> None:
    server.reset(accounts={"issuer-1": PUBLIC}, assertion_audience="account.example.com", clock=clock)
    env = {"KEY": PRIVATE}
    with pytest.raises(AuthFailed, match="InvalidAudienceError"):
        bearer(opened(traded(server, key_pem="${KEY}"), clock=clock, env=env))
    auth = traded(server, key_pem="${KEY}", claims={"iss": "issuer-1", "aud": "account.example.com", "scope": "a b"})
    assert server.accepts(bearer(opened(auth, clock=clock, env=env)))


def test_what_is_told_beside_a_token_is_known_in_the_next_run_as_well(server: TokenServer, clock: Clock) -> None:
    from flicker_dagster.transport.tokens import MemoryTokens

    server.beside = {"instance_url": "https://acme.my.salesforce.example", "id": 7, "secret": "not asked for"}
    server.tells_life = False
    tokens, env = MemoryTokens(), {"KEY": PRIVATE}
    auth = traded(server, key_pem="${KEY}", tells=["instance_url", "id", "nothing"], lifetime_ms=7_200_000)
    for _ in range(2):
        signer = opened(auth, tokens=tokens, clock=clock, env=env)
        assert signer.told("instance_url") == "https://acme.my.salesforce.example"
        assert (signer.told("id"), signer.told("nothing"), signer.told("secret")) == ("7", None, None)
    assert len(server.minted) == 1
    clock.now_s += 7_200
    assert opened(auth, tokens=tokens, clock=clock, env=env).told("id") == "7"
    assert len(server.minted) == 2, "a life that is not told is assumed"


# -- a JWT as the token


def self_signed(**keys: Any) -> JwtAuth:
    found = JwtAuth(type="jwt", **keys)
    assert found.faults() == []
    return found


def test_a_jwt_signs_for_half_of_its_life(clock: Clock) -> None:
    auth = self_signed(key_pem="${KEY}", claims={"iss": "12345", "n": 7}, assertion_ms=540_000, backdated_ms=60_000)
    signer = opened(auth, clock=clock, env={"KEY": PRIVATE})
    first = bearer(signer)
    claims = jwt.decode(first, PUBLIC, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})
    now_s = int(clock.now_s)
    assert claims == {"iss": "12345", "n": 7, "iat": now_s - 60, "exp": now_s + 540}
    clock.now_s += 269
    assert bearer(signer) == first
    clock.now_s += 1
    assert bearer(signer) != first
    assert signer.secrets() == (bearer(signer),)


def test_the_public_keys_fingerprint_may_be_claimed(clock: Clock) -> None:
    auth = self_signed(key_pem="${KEY}", claims={"iss": "ACME.USER.SHA256:{key_sha256}"})
    claims = jwt.decode(bearer(opened(auth, clock=clock, env={"KEY": PRIVATE})), options={"verify_signature": False})
    der = RSA_KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    assert claims["iss"] == f"ACME.USER.SHA256:{base64.b64encode(digest.finalize()).decode()}"


def test_a_rotated_key_signs_after_a_refusal(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(PRIVATE)
    signer = opened(self_signed(key_file=str(path), claims={"iss": "a"}), clock=clock, env={})
    bearer(signer)
    assert not signer.renew(UNAUTHORISED)
    assert "check that the server knows the key" in signer.explain(UNAUTHORISED)
    other, public = an_account()
    path.write_text(other)
    assert signer.renew(UNAUTHORISED)
    assert jwt.decode(bearer(signer), public, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})


def test_a_clock_that_is_wrong_is_told(clock: Clock) -> None:
    signer = opened(self_signed(key_pem="${KEY}", claims={"iss": "a"}), clock=clock, env={"KEY": PRIVATE})
    signer.sign(Request("GET", "https://a.example/"))
    refused = Answer(401, {"date": "Mon, 21 Sep 2026 14:03:20 GMT"})
    assert signer.explain(refused) == "this machine's clock is 600 s ahead of the server's"


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ({"type": "jwt", "claims": {"iss": "a"}}, "key_file"),
        ({"type": "jwt", "key_file": "a", "key_pem": "b"}, "key_file"),
        ({"type": "jwt", "key_file": "a", "claims": {"iss": "{client_id}"}}, "claims.iss"),
        ({"type": "oauth2_jwt_bearer", "key_file": "a", "token_url": "nowhere"}, "token_url"),
        (
            {"type": "oauth2_client_credentials", "token_url": "https://a.example", "client_id": "a"},
            "client_secret",
        ),
        (
            {"type": "oauth2_client_credentials", "token_url": "https://a.example", "client_id": "a",
             "client_secret": SECRET, "key_file": "a"},
            "key_file",
        ),
        (
            {"type": "oauth2_client_credentials", "token_url": "https://a.example", "client_id": "a",
             "client_auth": "private_key_jwt"},
            "key_file",
        ),
        (
            {"type": "oauth2_client_credentials", "token_url": "https://a.example", "client_id": "a",
             "client_secret": "x", "client_auth": "headers"},
            "client_headers",
        ),
        (
            {"type": "oauth2_refresh_token", "token_url": "https://a.example", "client_id": "a",
             "refresh_token": "x", "client_auth": "basic"},
            "client_secret",
        ),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other_are_faults(record: dict[str, Any], fault: str) -> None:
    assert [key for key, _ in TypeAdapter(Auth).validate_python(record).faults()] == [fault]
