"""Signing the requests of one client: credentials that were refused are renewed once, and what a token's answer told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec
import urllib3

from flicker_dagster.collect.refusals import SHOWN_REASON_CHARS
from flicker_dagster.config.vocabulary import AnswerRule
from flicker_dagster.config.written import vendor_credentials
from flicker_dagster.errors import CollectError, CredentialsRefused, RateLimited, VendorRefused, VendorUnavailable
from flicker_dagster.times import parse_http_date_ms
from flicker_dagster.transport.addresses import is_absolute
from flicker_dagster.transport.authenticators import AuthFailed, authenticator_of
from flicker_dagster.transport.exchange import Answer, Authenticator, Request
from flicker_dagster.transport.server_clock import ServerClock
from flicker_dagster.transport.tokens import Tokens

if TYPE_CHECKING:
    from flicker_dagster.collect.client import VendorClient

Result = TypeVar("Result")


class Raw(msgspec.Struct, frozen=True):
    """An answer as it came, and the rule of the source's that it fits."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes
    rule: AnswerRule | None

    @property
    def signed_status(self) -> int:
        """What it says of the signature, as a status: some vendors say 401 in the body of a 200."""
        return 401 if self.rule is not None and self.rule.means == "unauthorized" else self.status


class Signing:
    """The authenticator of one source's account, opened when it is first needed."""

    def __init__(self, client: VendorClient, tokens: Tokens, clock: Callable[[], float]) -> None:
        self._client = client
        self._source = client.source
        self._tokens = tokens
        self._auth: Authenticator | None = None
        self._clock = ServerClock(clock)

    def exchange(self, request: Request, send: Callable[[Request], Raw]) -> Raw:
        """The answer to a signed request. Raises CollectError."""
        return self._in_time(request, lambda: self._exchange(request, send))

    def told(self, name: str) -> str:
        """What the answer told that gave the token. Raises CollectError."""
        told = self._in_time(Request("GET", self._source.endpoint), lambda: self._told(name))
        if told is None:
            raise VendorRefused(
                f"{self._source.name}: the answer that gave the token tells no {name}, which endpoint needs; check auth"
            )
        if is_absolute(told) and not told.startswith("https://") and not self._source.connect_to:
            raise VendorRefused(
                f"{self._source.name}: {name} of the token's answer is no https address, so nothing is sent there"
            )
        return told

    def explained(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        """What is known of why the credentials were refused; empty where nothing is."""
        if self._auth is None or not isinstance(headers, urllib3.HTTPHeaderDict):
            return ""
        words = self._auth.explain(_seen(status, headers, body))
        return f" ({words})" if words else ""

    def secrets(self) -> tuple[str, ...]:
        """What it signs with and no configuration holds."""
        return () if self._auth is None else self._auth.secrets()

    def _in_time(self, request: Request, act: Callable[[], Result]) -> Result:
        """What an act gives that needs a token; done once more where one was refused for its time, by the server's clock then.
        Raises CollectError."""
        try:
            return act()
        except AuthFailed as error:
            if not self._clock.heed(error.server_now_ms):
                raise self._not_signed(request, error) from None
        self._auth = None  # what it has signed so far bears another time
        try:
            return act()
        except AuthFailed as error:
            raise self._not_signed(request, error) from None

    def _told(self, name: str) -> str | None:
        authenticator = self._authenticator()
        told = authenticator.told(name)
        if told is None:
            authenticator.sign(Request("GET", ""))
            told = authenticator.told(name)
        return told

    def _exchange(self, request: Request, send: Callable[[Request], Raw]) -> Raw:
        """Credentials that were refused are renewed once, and so is a signature of the wrong time."""
        authenticator = self._authenticator()
        answer = send(authenticator.sign(request))
        if answer.signed_status in (401, 403):
            moved = self._clock.heed(parse_http_date_ms(answer.headers.get("Date")))
            if authenticator.renew(_seen(answer.signed_status, answer.headers, answer.body)) or moved:
                answer = send(authenticator.sign(request))
        return answer

    def _authenticator(self) -> Authenticator:
        if self._auth is None:
            try:
                self._auth = authenticator_of(
                    self._source.auth,
                    env=self._client.env,
                    tokens=self._tokens,
                    key=self._source.vendor_key,
                    clock=self._clock,
                    ends=lambda: self._client.deadline,
                    routes=self._client.routes(),
                )
            except ValueError as error:
                why = self._client.masker.shown(str(error), at_most=SHOWN_REASON_CHARS)
                raise VendorRefused(f"{self._source.name}: auth cannot be used: {why}") from None
        return self._auth

    def _not_signed(self, request: Request, error: AuthFailed) -> CollectError:
        words = self._client.say(request, f"the request cannot be signed: {error}")
        if not error.retryable:
            return CredentialsRefused(f"{words}. The credentials: {vendor_credentials(self._source)}")
        return VendorUnavailable(words) if error.after_s is None else RateLimited(words, retry_after_s=error.after_s)


def _seen(status: int, headers: urllib3.HTTPHeaderDict, body: bytes) -> Answer:
    """An answer as authenticators read it."""
    joined: dict[str, str] = {}
    for name, value in headers.iteritems():
        name = name.lower()
        joined[name] = f"{joined[name]}\n{value}" if name in joined else value
    return Answer(status, joined, body)
