"""Builders for tests of authenticators that mint tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials, OAuth2RefreshToken
from flicker_dagster.config.auth.signed import GoogleServiceAccount
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.authenticators import authenticator_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Authenticator, Request
from flicker_dagster.transport.tokens import MemoryTokens, Tokens

SECRET = "c1ient-s3cret/value+1"
EMAIL = "flicker@project.iam.gserviceaccount.example"
UNAUTHORISED = Answer(401, {})
#: The refresh token of the configuration, and the name that tokens are kept by.
FIRST, KEY = "rt.first-of-the-configuration", "okta@sentinel"


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self, now_s: float = 1_790_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def client(url: str, **keys: Any) -> OAuth2ClientCredentials:
    auth = {"token_url": url, "client_id": "flicker", "client_secret": "${SECRET}", **keys}
    return OAuth2ClientCredentials(type="oauth2_client_credentials", **auth)


def refreshing(url: str, **keys: Any) -> OAuth2RefreshToken:
    given = {"token_url": url, "client_id": "flicker", "client_secret": "${SECRET}", "refresh_token": FIRST, **keys}
    return OAuth2RefreshToken(type="oauth2_refresh_token", **given)


def opened(
    auth: Any,
    *,
    tokens: Tokens | None = None,
    clock: Callable[[], float],
    key: str = KEY,
    ends: Callable[[], Deadline | None] = lambda: None,
    env: dict[str, str] | None = None,
) -> Authenticator:
    env = {"SECRET": SECRET} if env is None else env
    return authenticator_of(
        auth, env=env, tokens=MemoryTokens() if tokens is None else tokens, key=key, clock=clock, ends=ends
    )


def bearer(auth: Authenticator) -> str:
    """The token that a request is signed with."""
    scheme, _, token = auth.sign(Request("POST", "https://siem.example/")).headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    return token


def an_account() -> tuple[str, bytes]:
    """A private key and its public key, as PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode(), public


def a_key(server: TokenServer, private: str, **other: Any) -> str:
    """The JSON of a service account's key, as the console gives it."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "key-1",
            "private_key": private,
            "client_email": EMAIL,
            "token_uri": server.url,
            **other,
        }
    )


def google(**keys: Any) -> GoogleServiceAccount:
    return GoogleServiceAccount(type="google_service_account", **keys)
