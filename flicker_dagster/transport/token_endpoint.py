"""Asking an authorization server's token endpoint (RFC 6749, 5), and what its answers stand for."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from flicker_dagster.config.masking import Masker
from flicker_dagster.config.records import Tls
from flicker_dagster.json_text import read_json
from flicker_dagster.printable import cut
from flicker_dagster.times import parse_retry_after_s
from flicker_dagster.transport.addresses import BadAddress, origin_of
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.connections import USER_AGENT
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Failure, Request, Transport, Why
from flicker_dagster.transport.reasons import said_in, shape_of
from flicker_dagster.transport.tokens import Token

TIMEOUT_S = 30.0
LARGEST_ANSWER_BYTES = 256 * 1024
LONGEST_WAIT_S = 900.0
SAID_CHARS = 400
#: Servers allow for clocks that differ by up to five minutes (RFC 7519, 4.1.4); a minute is worth to be told.
CLOCK_TOLD_MS = 60_000

#: What to do about an error code (RFC 6749, 5.2; RFC 8707; OpenID).
_ADVICE = {
    "invalid_client": "check client_id and client_secret (expired, or of another tenant?) and client_auth",
    "unauthorized_client": "allow this client to use this grant at the authorization server",
    "invalid_grant": "check the key or credentials, whether they were revoked, and this machine's clock",
    "invalid_scope": "check scope, and that it was granted to the client",
    "invalid_target": "check audience and parameters",
    "invalid_resource": "check scope, audience and parameters",
    "unsupported_grant_type": "check token_url: this server mints no tokens in this way",
    "invalid_request": "check client_auth, scope, audience and parameters",
    "access_denied": "check audience, and what is granted to the client",
}
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_PASSING_STATUS = frozenset({408, 425, 429})
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


class TokenEndpoint:
    """One token endpoint. Thread-safe; a connection lives for one question, which comes once an hour.

    Raises ValueError for an address or certificate that cannot be used, SecretUnset.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Tls | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        ends: Callable[[], Deadline | None] = lambda: None,
        advice: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self._name = f"the token endpoint {origin_of(url)}"
        except BadAddress as error:
            raise ValueError(f"the address of the token endpoint {error}") from None
        self._url = url
        self._tls = tls
        self._env = env
        self._clock = clock
        self._ends = ends
        self._advice = {**_ADVICE, **(advice or {})}

    def ask(
        self, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None, secrets: tuple[str, ...]
    ) -> Token:
        """One question, no redirect followed. `secrets` of it are masked in every word. Raises AuthFailed."""
        try:
            return self._asked(form, headers or {})
        except AuthFailed as error:
            words = cut(Masker([], others=secrets).mask(str(error)), 2 * SAID_CHARS)
            raise AuthFailed(words, retryable=error.retryable, after_s=error.after_s) from None

    def _asked(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Token:
        request = Request(
            "POST",
            self._url,
            {
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
                **headers,
            },
            urlencode(form).encode("ascii"),
        )
        deadline = Deadline.after(TIMEOUT_S, f"{TIMEOUT_S:g} s").or_earlier(self._ends())
        asked_ms = int(self._clock() * 1000)
        try:
            transport = Transport(self._url, tls=self._tls, env=self._env, read_s=TIMEOUT_S)
        except ValueError as error:
            raise AuthFailed(f"{self._name} cannot be asked: {error}", retryable=False) from None
        try:
            answer = transport.exchange(request, deadline=deadline, at_most_bytes=LARGEST_ANSWER_BYTES)
        finally:
            transport.close()
        if isinstance(answer, Failure):
            passing = answer.why in (Why.NOT_SENT, Why.UNANSWERED)
            raise AuthFailed(f"{self._name} did not answer: {answer.words}", retryable=passing)
        if answer.status == 200:
            return self._token_in(answer, asked_ms)
        raise self._refusal(answer, asked_ms)

    # -- what answers stand for

    def _token_in(self, answer: Answer, asked_ms: int) -> Token:
        if not answer.whole:
            raise AuthFailed(f"{self._name} answered, and the answer was cut off or too large", retryable=True)
        value = _object_of(answer.body)
        if value is None:
            raise AuthFailed(
                f"{self._name} answered 200 with {shape_of(answer.body)}, expected a JSON object with access_token; "
                "check token_url",
                retryable=False,
            )
        token = value.get("access_token")
        if "error" in value and not token:
            raise self._refusal(answer, asked_ms)
        if not isinstance(token, str) or not _HEADER_VALUE.fullmatch(token):
            what = "no access_token" if token is None else "an access_token that fits no header"
            raise AuthFailed(
                f"{self._name} answered 200 with {what} ({shape_of(answer.body)}), expected one; check token_url",
                retryable=False,
            )
        kind = value.get("token_type")
        if isinstance(kind, str) and kind.lower() != "bearer":
            raise AuthFailed(f"{self._name} gives tokens of type {kind[:40]!r}, expected Bearer", retryable=False)
        lifetime_ms = _lifetime_ms(value.get("expires_in"))
        expires_ms = None if lifetime_ms is None else asked_ms + lifetime_ms
        return Token(token, expires_ms=expires_ms, minted_ms=asked_ms)

    def _refusal(self, answer: Answer, asked_ms: int) -> AuthFailed:
        value = _object_of(answer.body) or {}
        code = value.get("error")
        code = code if isinstance(code, str) else ""
        said = cut(said_in(answer.body), SAID_CHARS) if answer.body.strip() else "without a word"
        words = f"{self._name} answered HTTP {answer.status}: {said}"
        if answer.status >= 500 or answer.status in _PASSING_STATUS or code in _PASSING:
            after_s = parse_retry_after_s(answer.headers.get("retry-after"), now_ms=answer.server_now_ms or asked_ms)
            return AuthFailed(words, retryable=True, after_s=None if after_s is None else min(after_s, LONGEST_WAIT_S))
        if 300 <= answer.status < 400:
            return AuthFailed(
                f"{self._name} answered HTTP {answer.status}, a redirect; credentials are not sent on: set token_url to "
                "the final address",
                retryable=False,
            )
        advice = self._advice.get(code)
        if advice is None and answer.status in (404, 405):
            advice = "check token_url"
        if advice is None and answer.status == 407:
            advice = "check the proxy's user and password"
        advice = advice or "check token_url and the credentials"
        return AuthFailed("; ".join(filter(None, (words, advice, _clock_told(answer, asked_ms)))), retryable=False)


def _clock_told(answer: Answer, asked_ms: int) -> str:
    """How far this machine's clock and the server's are apart, where that may be the reason."""
    apart_ms = 0 if answer.server_now_ms is None else asked_ms - answer.server_now_ms
    if abs(apart_ms) < CLOCK_TOLD_MS:
        return ""
    return f"this machine's clock is {abs(apart_ms) // 1000} s {'ahead of' if apart_ms > 0 else 'behind'} the server's"


def _object_of(body: bytes) -> dict[str, Any] | None:
    try:
        value = read_json(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _lifetime_ms(value: object) -> int | None:
    """`expires_in`, in seconds; some servers send it as text. None where it says nothing that can be used."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return int(seconds * 1000) if math.isfinite(seconds) and 0 <= seconds < 1e9 else None
