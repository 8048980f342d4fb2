"""A JWT that is signed here is itself the token."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping

import msgspec
from pydantic import JsonValue

from flicker_dagster.config.auth.signed import JwtAuth
from flicker_dagster.config.placeholders import fill
from flicker_dagster.errors import SecretUnset
from flicker_dagster.transport.auth_clock import clock_told
from flicker_dagster.transport.exchange import Answer, NoAuth, Request
from flicker_dagster.transport.signing import Signer


class SignedJwt(NoAuth):
    """Each JWT serves for half of its life. Thread-safe.

    Raises SecretUnset, and ValueError for a key that cannot be used.
    """

    def __init__(self, auth: JwtAuth, *, env: Mapping[str, str] | None, clock: Callable[[], float]) -> None:
        self._auth = auth
        self._env = env
        self._clock = clock
        self._lock = threading.Lock()
        self._signer, self._claims = self._read(fresh=False)
        self._jwt = ""
        self._until_s = 0.0

    def sign(self, request: Request) -> Request:
        with self._lock:
            now_s = self._clock()
            if now_s >= self._until_s:
                self._jwt = self._signer.signed(self._claims, now_s)
                self._until_s = now_s + self._auth.assertion_ms / 2000
            token = self._jwt
        header = {self._auth.header: fill(self._auth.format, lambda _: token, env=self._env)}
        return msgspec.structs.replace(request, headers=request.headers | header)

    def renew(self, refused: Answer) -> bool:
        """Where the key was rotated meanwhile."""
        try:
            signer, claims = self._read(fresh=True)
        except (SecretUnset, ValueError):  # the refusal says more
            return False
        with self._lock:
            changed = signer.identity != self._signer.identity or json.dumps(claims) != json.dumps(self._claims)
            self._signer, self._claims = signer, claims
            self._until_s = 0.0 if changed else self._until_s
        return changed

    def secrets(self) -> tuple[str, ...]:
        return (self._jwt,) if self._jwt else ()

    def explain(self, refused: Answer) -> str:
        clock = clock_told(refused, int(self._clock() * 1000))
        if clock or refused.status != 401:
            return clock
        return "a token that is signed here is refused: check that the server knows the key, and iss, sub and aud in claims"

    def _read(self, *, fresh: bool) -> tuple[Signer, dict[str, JsonValue]]:
        signer = Signer(self._auth, env=self._env, fresh=fresh)
        return signer, signer.claims(self._auth.claims)
