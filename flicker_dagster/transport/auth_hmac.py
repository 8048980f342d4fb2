"""A keyed hash over a text that the configuration declares: of the body alone, or of date, method, path and parameters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from urllib.parse import parse_qsl, quote

import msgspec

from flicker_dagster.config.auth.hmac import HmacAuth
from flicker_dagster.config.placeholders import fill
from flicker_dagster.config.secrets import resolve
from flicker_dagster.errors import SecretUnset
from flicker_dagster.times import format_time
from flicker_dagster.transport.addresses import origin_of, target_of
from flicker_dagster.transport.auth_clock import clock_told
from flicker_dagster.transport.exchange import Answer, NoAuth, Request

_FORM = "application/x-www-form-urlencoded"


class SignedText(NoAuth):
    """Hashes the declared text of each request. Thread-safe. Raises SecretUnset, and ValueError for a secret that is not
    written as `key_encoding` says."""

    def __init__(self, auth: HmacAuth, *, env: Mapping[str, str] | None, clock: Callable[[], float]) -> None:
        self._auth = auth
        self._env = env
        self._clock = clock
        self._key = self._read(fresh=False)

    def sign(self, request: Request) -> Request:
        auth, key, username = self._auth, *self._key
        facts = _Facts(request, now_s=self._clock(), date_format=auth.date_format, username=username)
        digest = hmac.digest(key, self._text(request, facts), getattr(hashlib, auth.algorithm))
        facts.signature = digest.hex() if auth.encoding == "hex" else base64.b64encode(digest).decode()
        if auth.header is not None:
            signed = {auth.header: auth.prefix + facts.signature}
        else:
            signed = {name: fill(value, facts.value, env=self._env) for name, value in auth.headers.items()}
        return msgspec.structs.replace(request, headers=request.headers | signed)

    def renew(self, refused: Answer) -> bool:
        """Where the secret was rotated meanwhile."""
        used = self._key
        try:
            self._key = self._read(fresh=True)
        except (SecretUnset, ValueError):  # the refusal says more
            return False
        return self._key != used

    def explain(self, refused: Answer) -> str:
        dated = any("{date}" in text for text in (*self._auth.lines, *self._auth.headers.values()))
        return clock_told(refused, int(self._clock() * 1000)) if dated else ""

    def _text(self, request: Request, facts: _Facts) -> bytes:
        if self._auth.lines == ["{body}"]:
            return request.body or b""
        lines = [fill(line, facts.value, env=self._env) for line in self._auth.lines]
        return self._auth.joiner.join(lines).encode("utf-8", "surrogateescape")

    def _read(self, *, fresh: bool) -> tuple[bytes, str]:
        auth = self._auth
        secret = resolve(auth.secret, env=self._env, fresh=fresh)
        username = "" if auth.username is None else resolve(auth.username, env=self._env, fresh=fresh)
        try:
            if auth.key_encoding == "base64":
                return base64.b64decode(secret, validate=True), username
            return bytes.fromhex(secret) if auth.key_encoding == "hex" else secret.encode(), username
        except (binascii.Error, ValueError):
            raise ValueError(f"the secret of hmac is not written in {auth.key_encoding}; check key_encoding") from None


class _Facts:
    """What the placeholders stand for in one request."""

    def __init__(self, request: Request, *, now_s: float, date_format: str, username: str) -> None:
        self._request = request
        self._body = request.body or b""
        self._date = _dated(now_s, date_format)
        self._uuid = str(uuid.uuid4())
        self._username = username
        self.signature = ""

    def value(self, name: str) -> str:
        if name.startswith("body_"):
            algorithm, _, encoding = name.removeprefix("body_").partition("_")
            digest = hashlib.new(algorithm, self._body, usedforsecurity=False).digest()
            return base64.b64encode(digest).decode() if encoding else digest.hex()
        path, _, query = target_of(self._request.url).partition("?")
        if name in ("scheme", "host"):
            origin = origin_of(self._request.url)
            return origin.scheme if name == "scheme" else str(origin).partition("://")[2].lower()
        facts: dict[str, Callable[[], str]] = {
            "date": lambda: self._date,
            "uuid": lambda: self._uuid,
            "username": lambda: self._username,
            "signature": lambda: self.signature,
            "basic": lambda: base64.b64encode(f"{self._username}:{self.signature}".encode()).decode(),
            "method": lambda: self._request.method.upper(),
            "path": lambda: path,
            "query": lambda: query,
            "params": lambda: self._params(query),
            "body": lambda: self._body.decode("utf-8", "surrogateescape"),
        }
        return facts[name]()

    def _params(self, query: str) -> str:
        """As OAuth 1.0 writes them (RFC 5849, 3.4.1.3.2): decoded, encoded by RFC 3986, sorted by name, then by value."""
        kind = next((value for name, value in self._request.headers.items() if name.lower() == "content-type"), "")
        form = self._body.decode("utf-8", "surrogateescape") if kind.partition(";")[0].strip().lower() == _FORM else ""
        pairs = [
            (quote(name, safe="~", errors="surrogateescape"), quote(value, safe="~", errors="surrogateescape"))
            for text in (query, form)
            for name, value in parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
        ]
        return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _dated(now_s: float, form: str) -> str:
    if form in ("http", "rfc2822"):
        return formatdate(now_s, usegmt=form == "http")
    return format_time(int(now_s * 1000), form)
