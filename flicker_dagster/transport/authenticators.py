"""The authenticator of each record of `config.auth`. What one needs is imported when one is opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.auth.fixed import BasicCredentials, BearerAuth, HeaderAuth, HeadersAuth
from flicker_dagster.config.placeholders import fill
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.connections import basic_authorization
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Authenticator, NoAuth
from flicker_dagster.transport.tokens import Tokens

__all__ = ["AuthFailed", "authenticator_of"]


def authenticator_of(
    auth: Auth | None,
    *,
    env: Mapping[str, str] | None,
    tokens: Tokens,
    key: str,
    clock: Callable[[], float] = time.time,
    ends: Callable[[], Deadline | None] = lambda: None,
    routes: Mapping[str, str] | None = None,
) -> Authenticator:
    """The authenticator of a record. `key` names its tokens in the store: one per account. `ends` tells when everything has
    to be over, a token endpoint's answer included. Raises SecretUnset, and ValueError for what cannot be used, in words
    without secrets. `routes` say where a host is really reached. Nothing is connected to yet, except for secrets that AWS
    keeps."""
    if auth is None:
        return NoAuth()
    fixed = _fixed(auth, env=env, clock=clock)
    if fixed is not None:
        return fixed
    from flicker_dagster.transport.auth_opening import Opening

    opening = Opening(env, tokens, key, clock, ends, routes)
    if auth.type == "login":
        from flicker_dagster.transport.auth_login import login

        nested = auth.auth
        return login(auth, opening, signs=lambda: NoAuth() if nested is None else _signs(nested, env=env, clock=clock))
    from flicker_dagster.transport.auth_oauth2 import client_credentials, jwt_bearer, refresh_token

    if auth.type == "oauth2_client_credentials":
        return client_credentials(auth, opening)
    if auth.type == "oauth2_refresh_token":
        return refresh_token(auth, opening)
    if auth.type == "google_service_account":
        return jwt_bearer(auth.written_out(), opening)
    assert auth.type == "oauth2_jwt_bearer"
    return jwt_bearer(auth, opening)


def _fixed(auth: Auth, *, env: Mapping[str, str] | None, clock: Callable[[], float]) -> Authenticator | None:
    """The authenticator of a record that needs no token."""
    from flicker_dagster.transport.auth_fixed import FixedHeaders, QueryParameters

    if isinstance(auth, BearerAuth | BasicCredentials | HeaderAuth | HeadersAuth):
        return FixedHeaders(lambda fresh: _headers(auth, env, fresh=fresh))
    if auth.type == "query":
        return QueryParameters(lambda fresh: {auth.name: resolve(auth.value, env=env, fresh=fresh)})
    if auth.type == "hmac":
        from flicker_dagster.transport.auth_hmac import SignedText

        return SignedText(auth, env=env, clock=clock)
    if auth.type == "digest":
        from flicker_dagster.transport.auth_digest import Digest

        return Digest(
            lambda fresh: (resolve(auth.username, env=env, fresh=fresh), resolve(auth.password, env=env, fresh=fresh))
        )
    if auth.type == "jwt":
        from flicker_dagster.transport.auth_jwt import SignedJwt

        return SignedJwt(auth, env=env, clock=clock)
    if auth.type == "aws_sigv4":
        from flicker_dagster.transport.auth_sigv4 import SigV4

        return SigV4(auth, env=env)
    if auth.type == "part":
        from flicker_dagster.transport.auth_part import PartAuthenticator

        keys = auth.keys
        return PartAuthenticator(
            auth.name, lambda fresh: {name: resolve(text, env=env, fresh=fresh) for name, text in keys.items()}
        )
    return None


def _signs(auth: Auth, *, env: Mapping[str, str] | None, clock: Callable[[], float]) -> Authenticator:
    found = _fixed(auth, env=env, clock=clock)
    assert found is not None
    return found


def _headers(
    auth: BearerAuth | BasicCredentials | HeaderAuth | HeadersAuth, env: Mapping[str, str] | None, *, fresh: bool
) -> dict[str, str]:
    def read(template: str) -> str:
        return resolve(template, env=env, fresh=fresh)

    if auth.type == "bearer":
        token = read(auth.token)
        return {auth.header: fill(auth.format, lambda _: token, env=env, fresh=fresh)}
    if auth.type == "basic":
        return {"Authorization": basic_authorization(read(auth.username), read(auth.password))}
    if auth.type == "header":
        return {auth.name: read(auth.value)}
    return {name: read(value) for name, value in auth.headers.items()}
