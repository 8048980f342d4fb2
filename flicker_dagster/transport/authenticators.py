"""The authenticator of each record of `config.auth`. What one needs is imported when one is opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from flicker_dagster.config.auth import (
    Auth,
    BasicCredentials,
    BearerAuth,
    GoogleServiceAccount,
    HeaderAuth,
    HmacAuth,
    OAuth2ClientCredentials,
    SigV4Auth,
)
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.auth_fixed import BodyHmac, FixedHeader
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
) -> Authenticator:
    """The authenticator of a record. `key` names its tokens in the store; `ends` tells when everything has to be over, a
    token endpoint's answer included. Raises SecretUnset, and ValueError for what cannot be used, in words without
    secrets. Nothing is connected to yet."""
    if auth is None:
        return NoAuth()
    if isinstance(auth, BearerAuth):
        return FixedHeader("Authorization", f"Bearer {resolve(auth.token, env=env)}")
    if isinstance(auth, BasicCredentials):
        name, word = resolve(auth.username, env=env), resolve(auth.password, env=env)
        return FixedHeader("Authorization", basic_authorization(name, word))
    if isinstance(auth, HeaderAuth):
        return FixedHeader(auth.name, resolve(auth.value, env=env))
    if isinstance(auth, HmacAuth):
        return BodyHmac(auth, resolve(auth.secret, env=env))
    if isinstance(auth, OAuth2ClientCredentials):
        from flicker_dagster.transport.auth_oauth2 import client_credentials

        return client_credentials(auth, env=env, tokens=tokens, key=key, clock=clock, ends=ends)
    if isinstance(auth, GoogleServiceAccount):
        from flicker_dagster.transport.auth_google import service_account

        return service_account(auth, env=env, tokens=tokens, key=key, clock=clock, ends=ends)
    if not isinstance(auth, SigV4Auth):
        raise ValueError(f"auth of type {auth.type} cannot be opened yet")
    from flicker_dagster.transport.auth_sigv4 import SigV4

    return SigV4(auth, env=env)
