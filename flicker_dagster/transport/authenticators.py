"""Signing requests: one class per way, opened from its record."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

import msgspec

from flicker_dagster.config.auth import Auth, BasicDestinationAuth, BearerAuth, HeaderAuth, HmacAuth
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.connections import basic_authorization
from flicker_dagster.transport.exchange import Answer, Authenticator, NoAuth, Request
from flicker_dagster.transport.tokens import Tokens


class AuthFailed(Exception):
    """No signature could be made: the token endpoint refuses (not `retryable`), or does not answer. Its words may hold what
    the server said, so they are masked before they are shown."""

    def __init__(self, words: str, *, retryable: bool, after_s: float | None = None) -> None:
        super().__init__(words)
        self.retryable = retryable
        self.after_s = after_s


def authenticator_of(
    auth: Auth | None,
    *,
    env: Mapping[str, str] | None,
    tokens: Tokens,
    key: str,
    clock: Callable[[], float] = time.time,
) -> Authenticator:
    """The authenticator of a record. `key` names its tokens in the store. Raises SecretUnset."""
    if auth is None:
        return NoAuth()
    if isinstance(auth, BearerAuth):
        return FixedHeader("Authorization", f"Bearer {resolve(auth.token, env=env)}")
    if isinstance(auth, BasicDestinationAuth):
        name, word = resolve(auth.username, env=env), resolve(auth.password, env=env)
        return FixedHeader("Authorization", basic_authorization(name, word))
    if isinstance(auth, HeaderAuth):
        return FixedHeader(auth.name, resolve(auth.value, env=env))
    if isinstance(auth, HmacAuth):
        return BodyHmac(auth, resolve(auth.secret, env=env))
    raise NotImplementedError(auth.type)


class FixedHeader:
    """The same header on every request."""

    def __init__(self, name: str, value: str) -> None:
        self._header = {name: value}

    def sign(self, request: Request) -> Request:
        return msgspec.structs.replace(request, headers=request.headers | self._header)

    def renew(self, refused: Answer) -> bool:
        return False


class BodyHmac:
    """A keyed hash of the body as it is sent."""

    def __init__(self, auth: HmacAuth, secret: str) -> None:
        self._auth = auth
        self._secret = secret.encode()

    def sign(self, request: Request) -> Request:
        digest = hmac.digest(self._secret, request.body or b"", getattr(hashlib, self._auth.algorithm))
        text = digest.hex() if self._auth.encoding == "hex" else base64.b64encode(digest).decode()
        return msgspec.structs.replace(request, headers=request.headers | {self._auth.header: self._auth.prefix + text})

    def renew(self, refused: Answer) -> bool:
        return False
