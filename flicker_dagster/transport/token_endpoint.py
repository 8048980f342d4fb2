"""Asking a server for a token: an authorization server's token endpoint (RFC 6749, 5), or a log-in; and what refusals stand
for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from flicker_dagster.config.masking import Masker
from flicker_dagster.config.records import Tls
from flicker_dagster.printable import cut
from flicker_dagster.times import parse_retry_after_s
from flicker_dagster.transport.addresses import BadAddress, origin_of
from flicker_dagster.transport.auth_clock import clock_told
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.connections import USER_AGENT
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Authenticator, Failure, NoAuth, Request, Transport, Why
from flicker_dagster.transport.reasons import said_in
from flicker_dagster.transport.token_answer import STANDARD, NoToken, Places, object_in, token_in
from flicker_dagster.transport.tokens import Token

TIMEOUT_S = 30.0
LARGEST_ANSWER_BYTES = 256 * 1024
LONGEST_WAIT_S = 900.0
SAID_CHARS = 400

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


class TokenEndpoint:
    """One server that mints tokens, `asked_by` the key of the configuration that holds its address. Thread-safe; a connection
    lives for one question, which comes once an hour.

    `explain` says what to do about codes or words of a refusal, before what is known here. Raises ValueError for an address
    or certificate that cannot be used, SecretUnset.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Tls | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        ends: Callable[[], Deadline | None] = lambda: None,
        places: Places = STANDARD,
        explain: Mapping[str, str] | None = None,
        asked_by: str = "token_url",
        routes: Mapping[str, str] | None = None,
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
        self._places = places
        self._explain = dict(explain or {})
        self._asked_by = asked_by
        self._routes = routes

    def ask(
        self, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None, secrets: tuple[str, ...]
    ) -> Token:
        """One question in a form. Raises AuthFailed."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.answer_to(
            Request("POST", self._url, {**kind, **(headers or {})}, urlencode(form).encode("ascii")), secrets=secrets
        )

    def answer_to(self, request: Request, *, secrets: tuple[str, ...], signer: Authenticator | None = None) -> Token:
        """One question, no redirect followed, signed again where the signer has something new after a refusal. `secrets` of
        it are masked in every word. Raises AuthFailed."""
        signer = signer or NoAuth()
        try:
            return self._asked(request, signer)
        except AuthFailed as error:
            masker = Masker([], others=(*secrets, *signer.secrets()))
            raise error.saying(cut(masker.mask(str(error)), 2 * SAID_CHARS)) from None

    def _asked(self, request: Request, signer: Authenticator) -> Token:
        own = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        request = Request(request.method, request.url, {**own, **request.headers}, request.body)
        deadline = Deadline.after(TIMEOUT_S, f"{TIMEOUT_S:g} s").or_earlier(self._ends())
        asked_ms = self._now_ms()
        try:
            transport = Transport(self._url, tls=self._tls, env=self._env, read_s=TIMEOUT_S, routes=self._routes)
        except ValueError as error:
            raise AuthFailed(f"{self._name} cannot be asked: {error}", retryable=False) from None
        try:
            answer = transport.exchange(signer.sign(request), deadline=deadline, at_most_bytes=LARGEST_ANSWER_BYTES)
            if isinstance(answer, Answer) and answer.status in (401, 403) and signer.renew(answer):
                asked_ms = self._now_ms()
                answer = transport.exchange(signer.sign(request), deadline=deadline, at_most_bytes=LARGEST_ANSWER_BYTES)
        finally:
            transport.close()
        if isinstance(answer, Failure):
            passing = answer.why in (Why.NOT_SENT, Why.UNANSWERED)
            unsure = answer.why is Why.UNANSWERED
            raise AuthFailed(f"{self._name} did not answer: {answer.words}", retryable=passing, unsure=unsure)
        if 200 <= answer.status < 300 or (answer.status < 400 and self._places.of == "cookie"):
            return self._token_in(answer, asked_ms)
        raise self._refusal(answer, asked_ms, signer)

    # -- what answers stand for

    def _token_in(self, answer: Answer, asked_ms: int) -> Token:
        if not answer.whole:
            words = f"{self._name} answered, and the answer was cut off or too large"
            raise AuthFailed(words, retryable=True, unsure=True)
        try:
            return token_in(answer, self._places, asked_ms=asked_ms)
        except NoToken as none:
            if "error" in (object_in(answer.body) or {}):
                raise self._refusal(answer, asked_ms) from None
            words = f"{self._name} answered {answer.status} with {none}; check {self._asked_by}"
            raise AuthFailed(words, retryable=False, unsure=True) from None

    def _refusal(self, answer: Answer, asked_ms: int, signer: Authenticator | None = None) -> AuthFailed:
        value = object_in(answer.body) or {}
        code = value.get("error")
        code = code if isinstance(code, str) else ""
        said = cut(said_in(answer.body), SAID_CHARS) if answer.body.strip() else "without a word"
        words = f"{self._name} answered HTTP {answer.status}: {said}"
        if answer.status >= 500 or answer.status in _PASSING_STATUS or code in _PASSING:
            after_s = parse_retry_after_s(answer.headers.get("retry-after"), now_ms=answer.server_now_ms or asked_ms)
            after_s = None if after_s is None else min(after_s, LONGEST_WAIT_S)
            return AuthFailed(words, retryable=True, after_s=after_s, unsure=answer.status >= 500)
        if 300 <= answer.status < 400:
            return AuthFailed(
                f"{self._name} answered HTTP {answer.status}, a redirect; credentials are not sent on: set "
                f"{self._asked_by} to the final address",
                retryable=False,
            )
        told = (words, self._advice(answer, code), clock_told(answer, asked_ms) or (signer or NoAuth()).explain(answer))
        return AuthFailed("; ".join(filter(None, told)), retryable=False, server_now_ms=answer.server_now_ms)

    def _advice(self, answer: Answer, code: str) -> str:
        said = answer.body.decode("utf-8", "replace")
        declared = [words for each, words in self._explain.items() if each == code]
        declared += [words for each, words in self._explain.items() if each in said]
        if declared:
            return declared[0]
        if code in _ADVICE:
            return _ADVICE[code]
        if answer.status in (404, 405):
            return f"check {self._asked_by}"
        if answer.status == 407:
            return "check the proxy's user and password"
        return f"check {self._asked_by} and the credentials"

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
