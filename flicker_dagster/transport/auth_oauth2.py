"""OAuth2: how each grant asks its token endpoint (RFC 6749, RFC 7523)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus, urlencode

import msgspec

from flicker_dagster.config.auth.base import AsksTokenEndpoint
from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials, OAuth2RefreshToken
from flicker_dagster.config.auth.signed import OAuth2JwtBearer
from flicker_dagster.config.placeholders import fill
from flicker_dagster.transport.auth_fixed import with_parameters
from flicker_dagster.transport.auth_minted import MintedToken, Minter, identity
from flicker_dagster.transport.auth_opening import Opening
from flicker_dagster.transport.auth_refresh import RefreshedToken, Refresher
from flicker_dagster.transport.connections import basic_authorization
from flicker_dagster.transport.exchange import Request
from flicker_dagster.transport.signing import NEW_UUID, Signer
from flicker_dagster.transport.tokens import Token

#: RFC 7523, 2.2.
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _Client(msgspec.Struct, frozen=True):
    """Who asks: the client's id and secret, and where they stand in the question."""

    client_id: str | None
    secret: str | None
    auth: str
    headers: Mapping[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        own = {"client_id": self.client_id, "client_secret": self.secret if self.auth == "form" else None}
        named = self.auth in ("form", "none", "private_key_jwt")
        return {name: value for name, value in own.items() if value is not None and named}

    @property
    def secrets(self) -> tuple[str, ...]:
        if self.secret is None:
            return ()
        return self.secret, f"{self.client_id}:{self.secret}", *self.headers.values()


class _Question(msgspec.Struct, frozen=True):
    """A question to a token endpoint, but for what each one has anew."""

    url: str
    sent_in: str
    parameters: Mapping[str, str]
    client: _Client

    def request(self, also: Mapping[str, str]) -> Request:
        given = {**self.parameters, **also, **self.client.parameters}
        if self.sent_in == "query":
            return Request("POST", with_parameters(self.url, given), dict(self.client.headers), b"")
        kind = "application/json" if self.sent_in == "json" else "application/x-www-form-urlencoded"
        body = json.dumps(given) if self.sent_in == "json" else urlencode(given)
        return Request("POST", self.url, {"Content-Type": kind, **self.client.headers}, body.encode())

    def identity(self, record: AsksTokenEndpoint, *others: str) -> str:
        """Of everything that a token depends on."""
        given = [f"{name}={value}" for name, value in sorted(self.parameters.items())]
        read = (record.token_field, record.token_in, *record.tells)
        return identity(self.url, self.client.client_id or "", self.client.secret or "", *given, "\x01", *read, *others)


def client_credentials(auth: OAuth2ClientCredentials, opening: Opening) -> MintedToken:
    """RFC 6749, 4.4. Raises SecretUnset, and ValueError for a token_url or key that cannot be used."""

    def make(fresh: bool) -> Minter:
        url = opening.resolve(auth.token_url, fresh=fresh)
        signer = None
        if auth.client_auth == "private_key_jwt":
            signer = Signer(auth, env=opening.env, fresh=fresh)
        audience = None if auth.audience is None else opening.resolve(auth.audience, fresh=fresh)
        own = {"grant_type": auth.grant_type, "scope": auth.scope, "audience": audience}
        client = _client(auth, auth.client_id, auth.client_secret, auth.client_auth, opening, fresh=fresh)
        question = _question(auth, url, own, client, opening, fresh=fresh)
        endpoint = opening.endpoint(url, auth, asked_by="token_url")
        if signer is None:
            return Minter(
                question.identity(auth), lambda: endpoint.answer_to(question.request({}), secrets=client.secrets)
            )
        who = client.client_id or ""
        aud = signer.filled(auth.assertion_audience, {"token_url": url})
        claims = {"iss": who, "sub": who, "aud": aud, "jti": NEW_UUID}

        def ask() -> Token:
            assertion = signer.signed(claims, opening.clock())
            also = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            return endpoint.answer_to(question.request(also), secrets=(assertion,))

        return Minter(question.identity(auth, signer.identity, aud), ask)

    return opening.minted(auth, make)


def jwt_bearer(auth: OAuth2JwtBearer, opening: Opening) -> MintedToken:
    """RFC 7523, 2.1. Raises SecretUnset, and ValueError for a token_url or key that cannot be used."""

    def make(fresh: bool) -> Minter:
        signer = Signer(auth, env=opening.env, fresh=fresh)
        url = signer.filled(auth.token_url)
        client = _client(
            auth, auth.client_id, auth.client_secret, auth.client_auth, opening, fresh=fresh, fill_in=signer.filled
        )
        also = {"token_url": url, "client_id": client.client_id or ""}
        claims = signer.claims({"aud": "{token_url}", **auth.claims}, also)
        question = _question(
            auth, url, {"grant_type": auth.grant_type, "scope": auth.scope}, client, opening, fresh=fresh
        )
        endpoint = opening.endpoint(url, auth, asked_by="token_url")

        def ask() -> Token:
            assertion = signer.signed(claims, opening.clock())
            return endpoint.answer_to(question.request({"assertion": assertion}), secrets=(assertion, *client.secrets))

        return Minter(question.identity(auth, signer.identity, json.dumps(claims, sort_keys=True)), ask)

    return opening.minted(auth, make)


def refresh_token(auth: OAuth2RefreshToken, opening: Opening) -> RefreshedToken:
    """RFC 6749, 6. Raises SecretUnset, and ValueError for a token_url that cannot be used."""

    def make(fresh: bool) -> Refresher:
        url = opening.resolve(auth.token_url, fresh=fresh)
        first = opening.resolve(auth.refresh_token, fresh=fresh)
        client = _client(auth, auth.client_id, auth.client_secret, auth.client_auth, opening, fresh=fresh)
        own = {"grant_type": "refresh_token", "scope": auth.scope}
        question = _question(auth, url, own, client, opening, fresh=fresh)
        endpoint = opening.endpoint(url, auth, asked_by="token_url")

        def ask(newest: str) -> Token:
            return endpoint.answer_to(
                question.request({"refresh_token": newest}), secrets=(newest, first, *client.secrets)
            )

        def fingerprint(token: str) -> str:
            return identity(url, client.client_id or "", token)

        return Refresher(question.identity(auth, fingerprint(first)), first, fingerprint, ask)

    return RefreshedToken(
        make,
        sends=auth,
        tokens=opening.tokens,
        key=opening.key,
        renew_before_ms=auth.renew_before_ms,
        env=opening.env,
        clock=opening.clock,
    )


def _question(
    auth: AsksTokenEndpoint,
    url: str,
    own: Mapping[str, str | None],
    client: _Client,
    opening: Opening,
    *,
    fresh: bool,
) -> _Question:
    given = {name: value for name, value in own.items() if value is not None}
    given |= {name: opening.resolve(value, fresh=fresh) for name, value in auth.parameters.items()}
    return _Question(url, auth.parameters_in, given, client)


def _client(
    auth: AsksTokenEndpoint,
    client_id: str | None,
    client_secret: str | None,
    client_auth: str,
    opening: Opening,
    *,
    fresh: bool,
    fill_in: Callable[[str], str] | None = None,
) -> _Client:
    fill_in = fill_in or (lambda template: opening.resolve(template, fresh=fresh))
    name = None if client_id is None else fill_in(client_id)
    secret = None if client_secret is None else fill_in(client_secret)
    own = {"client_id": name or "", "client_secret": secret or ""}
    headers = {
        header: fill(template, own.__getitem__, env=opening.env, fresh=fresh)
        for header, template in auth.client_headers.items()
    }
    if client_auth == "basic":
        # Both are encoded as in a form before they are joined (RFC 6749, 2.3.1).
        headers["Authorization"] = basic_authorization(quote_plus(name or ""), quote_plus(secret or ""))
    return _Client(name, secret, client_auth, headers)
