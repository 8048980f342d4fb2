"""HTTP Digest (RFC 7616): a hash over the server's challenge proves that user and password are known."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping

import msgspec

from flicker_dagster.errors import SecretUnset
from flicker_dagster.transport.addresses import target_of
from flicker_dagster.transport.exchange import Answer, NoAuth, Request

#: Strongest first.
_HASHES = {"SHA-256": "sha256", "MD5": "md5"}
_PARAMETER = re.compile(r'\s*([A-Za-z][A-Za-z0-9*_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)\s+(?=[A-Za-z][A-Za-z0-9*_-]*\s*=)")
#: Longer ones are no challenge of an honest server.
LONGEST_CHALLENGE_CHARS = 8 * 1024


class Challenge(msgspec.Struct, frozen=True):
    """What a server wants to be hashed."""

    realm: str
    nonce: str
    algorithm: str  # as it is spelt there; empty for none
    qop: str  # `auth`, or empty where the server is older than qop
    opaque: str | None
    stale: bool

    @property
    def hash_name(self) -> str:
        return _HASHES[self.algorithm.upper().removesuffix("-SESS") or "MD5"]


class Digest(NoAuth):
    """Answers the last challenge, with its nonce counted, until another one comes: after the first exchange no request is
    refused for want of one. Thread-safe.

    `read` gives user and password, asking for what is `fresh` where it is given True. Raises SecretUnset.
    """

    def __init__(
        self,
        read: Callable[[bool], tuple[str, str]],
        *,
        random: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._read = read
        self._random = random
        self._credentials = read(False)
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._count = 0
        self._signed = threading.local()

    def sign(self, request: Request) -> Request:
        with self._lock:
            challenge, credentials = self._challenge, self._credentials
            self._count += 1
            count = self._count
        self._signed.challenge, self._signed.credentials, self._signed.count = challenge, credentials, count
        if challenge is None:
            return request
        value = response_to(
            challenge, request.method, target_of(request.url), credentials, count=count, client_nonce=self._random()
        )
        return msgspec.structs.replace(request, headers=request.headers | {"Authorization": value})

    def renew(self, refused: Answer) -> bool:
        found = challenge_in(refused.headers.get("www-authenticate", "")) if refused.status == 401 else None
        if found is None:
            return False
        used: Challenge | None = getattr(self._signed, "challenge", None)
        with self._lock:
            if self._challenge is not None and self._challenge != used and not found.stale:
                return True  # another thread was faster
            self._challenge, self._count = found, 0
        # A nonce that served before may be over without being called stale.
        return used is None or found.stale or self._signed.count > 1 or self._credentials_changed()

    def secrets(self) -> tuple[str, ...]:
        return self._credentials[1:]

    def explain(self, refused: Answer) -> str:
        if refused.status != 401:
            return ""
        if challenge_in(refused.headers.get("www-authenticate", "")) is None:
            return "the server asks for no digest that is known here (SHA-256 or MD5, qop auth); check auth.type"
        return "the server does not take this user and password (a digest of them); check both"

    def _credentials_changed(self) -> bool:
        """Were they rotated meanwhile?"""
        try:
            found = self._read(True)
        except SecretUnset:  # the refusal says more
            return False
        with self._lock:
            self._credentials = found
        return found != getattr(self._signed, "credentials", None)


def response_to(
    challenge: Challenge,
    method: str,
    target: str,
    credentials: tuple[str, str],
    *,
    count: int,
    client_nonce: str,
) -> str:
    """The value of an `Authorization` header. `count` is how often the nonce was used, this time included."""
    username, password = credentials

    def hashed(*parts: str) -> str:
        return hashlib.new(challenge.hash_name, ":".join(parts).encode(), usedforsecurity=False).hexdigest()

    secret = hashed(username, challenge.realm, password)
    if challenge.algorithm.upper().endswith("-SESS"):
        secret = hashed(secret, challenge.nonce, client_nonce)
    request, counted = hashed(method, target), f"{count:08x}"
    if challenge.qop:
        response = hashed(secret, challenge.nonce, counted, client_nonce, challenge.qop, request)
    else:
        response = hashed(secret, challenge.nonce, request)
    fields = [("username", _quoted(username)), ("realm", _quoted(challenge.realm)), ("nonce", _quoted(challenge.nonce))]
    fields += [("uri", _quoted(target)), ("response", _quoted(response))]
    if challenge.algorithm:
        fields.append(("algorithm", challenge.algorithm))
    if challenge.opaque is not None:
        fields.append(("opaque", _quoted(challenge.opaque)))
    if challenge.qop:
        fields += [("qop", challenge.qop), ("nc", counted)]
    if challenge.qop or challenge.algorithm.upper().endswith("-SESS"):
        fields.append(("cnonce", _quoted(client_nonce)))
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields)


def challenge_in(header: str) -> Challenge | None:
    """The strongest digest challenge of `WWW-Authenticate` that can be answered, of one line or several."""
    found = [
        challenge
        for line in header[:LONGEST_CHALLENGE_CHARS].splitlines()
        for scheme, parameters in _challenges(line)
        if scheme.lower() == "digest" and (challenge := _challenge(parameters)) is not None
    ]
    strongest = list(_HASHES.values())
    return min(found, key=lambda each: strongest.index(each.hash_name), default=None)


def _challenges(line: str) -> list[tuple[str, Mapping[str, str]]]:
    # A scheme is looked for outside of quoted texts only.
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', lambda text: '"' + "_" * (len(text[0]) - 2) + '"', line)
    starts = [(found[1], found.end()) for found in _SCHEME.finditer(bare)]
    ends = [*[found.start() for found in _SCHEME.finditer(bare)][1:], len(line)]
    return [(scheme, _parameters(line[begin:end])) for (scheme, begin), end in zip(starts, ends)]


def _parameters(text: str) -> dict[str, str]:
    return {
        found[1].lower(): re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        for found in _PARAMETER.finditer(text)
    }


def _challenge(given: Mapping[str, str]) -> Challenge | None:
    algorithm, offered = given.get("algorithm", ""), [word.strip().lower() for word in given.get("qop", "").split(",")]
    if (algorithm.upper().removesuffix("-SESS") or "MD5") not in _HASHES or "nonce" not in given:
        return None
    if "qop" in given and "auth" not in offered:
        return None
    return Challenge(
        realm=given.get("realm", ""),
        nonce=given["nonce"],
        algorithm=algorithm,
        qop="auth" if "qop" in given else "",
        opaque=given.get("opaque"),
        stale=given.get("stale", "").lower() == "true",
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
