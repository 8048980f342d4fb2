"""HTTP Digest (RFC 7616) as a server asks for it: nonces that end, and each count of one once."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping

from flicker_dagster.simulator.server import Request

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


class DigestGuard:
    """`users` are passwords by name. `algorithms` are asked for in this order; a nonce serves `nonce_s` seconds, and
    `tells_stale` is whether a challenge says so of one that is over."""

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        clock: Callable[[], float],
        realm: str = "simulated",
        algorithms: tuple[str, ...] = ("MD5",),
        nonce_s: float = 300.0,
        tells_stale: bool = True,
    ) -> None:
        self.users = dict(users)
        self.realm = realm
        self.algorithms = algorithms
        self.nonce_s = nonce_s
        self.tells_stale = tells_stale
        self.challenges = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._made_s: dict[str, float] = {}
        self._counted: set[tuple[str, str]] = set()

    def refused(self, request: Request) -> list[tuple[str, str]] | None:
        """None for a request that is signed well, else the headers of a 401."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "digest":
            return self.challenge()
        given = {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(text)}
        with self._lock:
            made_s = self._made_s.get(given.get("nonce", ""))
            counted = (given.get("nonce", ""), given.get("nc", ""))
            repeated = counted in self._counted
            self._counted.add(counted)
        if not self._is_right(request, given):
            return self.challenge()
        if made_s is None or self._clock() >= made_s + self.nonce_s or repeated:
            return self.challenge(stale=True)
        return None

    def _is_right(self, request: Request, given: Mapping[str, str]) -> bool:
        algorithm = given.get("algorithm", "MD5")
        if given.get("uri") != request.target or algorithm not in self.algorithms or given.get("qop") != "auth":
            return False
        hashes = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

        def hashed(text: str) -> str:
            return hashes(text.encode()).hexdigest()

        user = given.get("username", "")
        secret = hashed(f"{user}:{self.realm}:{self.users.get(user, secrets.token_hex(8))}")
        middle = ":".join((given.get("nonce", ""), given.get("nc", ""), given.get("cnonce", ""), "auth"))
        return given.get("response") == hashed(f"{secret}:{middle}:{hashed(f'{request.method}:{request.target}')}")

    def challenge(self, *, stale: bool = False) -> list[tuple[str, str]]:
        """The headers of a 401 that asks for a digest, with a nonce of their own."""
        nonce = secrets.token_hex(12)
        with self._lock:
            self.challenges += 1
            self._made_s[nonce] = self._clock()
        said = ", stale=true" if stale and self.tells_stale else ""
        return [
            (
                "WWW-Authenticate",
                f'Digest realm="{self.realm}", qop="auth", algorithm={algorithm}, nonce="{nonce}", opaque="o"{said}',
            )
            for algorithm in self.algorithms
        ]
