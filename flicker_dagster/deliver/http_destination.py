"""What destinations that speak HTTP have in common: opening, signing, one exchange, and what its answer stands for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TypeGuard

import msgspec
from isal import igzip

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.masking import LOOKED_AT_CHARS, Masker, shown_endpoint
from flicker_dagster.config.records import Tls
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.destination import DestinationBase, LaneContext
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Retry, classify_http, status_name
from flicker_dagster.deliver.proxy_answers import refused_by_proxy
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.lots import Lot
from flicker_dagster.printable import cut
from flicker_dagster.transport.authenticators import AuthFailed, authenticator_of
from flicker_dagster.transport.connections import USER_AGENT
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Authenticator, Failure, NoAuth, Request, Transport, Why
from flicker_dagster.transport.reasons import said_in, shape_of, without_echo

log = logging.getLogger("flicker.deliver")

#: Measured on audit events: level 1 packs as well as 2 and costs what 0 costs (0.65 ms for 725 KB, to 16 %).
GZIP_LEVEL = 1

SHOWN_REASON_CHARS, LONGEST_REASON_CHARS = 200, 500

#: What a status stands for, beside the common table of `classify_http`.
Rules = Mapping[int, Callable[[str], Outcome]]


def pack(body: bytes) -> bytes:
    """Deterministic gzip: no time stamp, a fixed level."""
    return igzip.compress(body, GZIP_LEVEL, mtime=0)


class HttpDestinationBase(DestinationBase):
    """One server, its connections and authenticator, opened when first used. Thread-safe.

    A subclass makes requests and reads answers; `exchange` gives the answer or the outcome that stands for there being
    none. `endpoint` is the template of the address; `auth` how requests are signed.
    """

    #: By which a server says that credentials are refused, so that new ones may help.
    refused_status: Collection[int] = (401, 403)

    def __init__(
        self,
        config: DestinationRecord,
        context: LaneContext,
        *,
        endpoint: str,
        auth: Auth | None = None,
        tls: Tls | None = None,
    ) -> None:
        self.config = config
        self.context = context
        self._endpoint = endpoint
        self._auth_record = auth
        self._tls = tls
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._authenticator: Authenticator = NoAuth()
        self._url = ""
        self._timeout_s = config.timeout_ms / 1000
        self._limit = f"destination.timeout_ms ({self._timeout_s:g} s)"

    # -- for subclasses

    @property
    def url(self) -> str:
        """The address with its secrets in place. Raises SecretUnset, DestinationBlocked."""
        self._opened()
        return self._url

    def resolve(self, template: str) -> str:
        """A template of the record with its secrets in place. Raises SecretUnset."""
        return resolve(template, env=self.context.env)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        at_most_bytes: int = 64 * 1024,
    ) -> Answer | Outcome:
        """One signed exchange; refused credentials are answered once with a renewed signature, where there is one.

        The answer's beginning is given, up to `at_most_bytes`. Raises SecretUnset and DestinationBlocked.
        """
        transport = self._opened()
        request = Request(method, url, {"User-Agent": USER_AGENT, "Accept": "*/*", **headers}, body)
        deadline = Deadline.after(self._timeout_s, self._limit).or_earlier(self.deadline)
        try:
            answer = transport.exchange(
                self._authenticator.sign(request), deadline=deadline, at_most_bytes=at_most_bytes
            )
            if self._is_refused(answer) and self._authenticator.renew(answer):
                answer = transport.exchange(
                    self._authenticator.sign(request), deadline=deadline, at_most_bytes=at_most_bytes
                )
        except AuthFailed as error:
            return self.outcome_of_auth(error)
        if not isinstance(answer, Answer):
            return self.outcome_of_failure(answer)
        of_proxy = refused_by_proxy(answer)
        return answer if of_proxy is None else Blocked(of_proxy)

    def _is_refused(self, answer: Answer | Failure) -> TypeGuard[Answer]:
        return isinstance(answer, Answer) and answer.status in self.refused_status

    def outcome_of(
        self,
        answer: Answer,
        lot: Lot,
        *,
        success_status: Collection[int],
        rules: Rules | None = None,
        reason: str | None = None,
    ) -> Outcome:
        """What an answer stands for: by `rules` where they hold its status, else by the common table. `reason` is what the
        answer says, where the subclass has read it."""
        taken = answer.status in success_status
        said = "" if taken else self.reason(answer, lot) if reason is None else self.mask(reason)
        if rules is not None and answer.status in rules:
            outcome = rules[answer.status](f"HTTP {answer.status}{f': {said}' if said else ''}")
            return msgspec.structs.replace(outcome, status=status_name(answer.status))
        outcome = classify_http(
            answer.status,
            {"Retry-After": answer.headers.get("retry-after", "")},
            said,
            success_status=success_status,
            now_ms=self.context.now_ms(),
        )
        if isinstance(outcome, Blocked) and answer.status in (401, 403):
            known = self.mask(self._authenticator.explain(answer))
            why = f"{outcome.why}; {known}" if known else outcome.why
            return Blocked(f"{why} (credentials: {self.context.credentials()})", outcome.status)
        return outcome

    def reason(self, answer: Answer, lot: Lot | None = None) -> str:
        """Why something was not taken, in the server's words, masked; what it repeats of the events is left out."""
        if 200 <= answer.status < 300:
            return shape_of(answer.body)
        if not answer.body.strip():
            return ""
        told = self.mask(said_in(answer.body, event_fields=self.context.event_fields))
        return cut(told if lot is None else without_echo(told, lot.array), SHOWN_REASON_CHARS)

    def mask(self, text: str) -> str:
        minted = self._authenticator.secrets()
        text = Masker([], others=minted).mask(text[:LOOKED_AT_CHARS]) if minted else text
        return self.context.masker.shown(text, at_most=LONGEST_REASON_CHARS)

    def outcome_of_failure(self, failure: Failure) -> Outcome:
        words = self.mask(failure.words)
        if failure.why is Why.NOT_SENT:
            return Retry(words)
        if failure.why is Why.UNANSWERED:
            return Ambiguous(words)
        return Blocked(words)

    def outcome_of_auth(self, error: AuthFailed) -> Outcome:
        words = self.mask(str(error))
        return (
            Retry(words, error.after_s)
            if error.retryable
            else Blocked(f"{words} (credentials: {self.context.credentials()})")
        )

    def authenticator(self) -> Authenticator:
        """How requests are signed. Raises SecretUnset, and ValueError for what cannot be used."""
        context = self.context
        return authenticator_of(
            self._auth_record,
            env=context.env,
            tokens=context.tokens,
            key=context.token_key,
            clock=context.clock,
            ends=lambda: self.deadline,
        )

    # -- the protocol

    def describe(self) -> str:
        """The endpoint as it is written in the configuration, without its secrets."""
        return shown_endpoint(self._endpoint)

    def close(self) -> None:
        with self._lock:
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    # -- opening, once

    def _opened(self) -> Transport:
        opened = self._transport
        if opened is not None:
            return opened
        with self._lock:
            if self._transport is None:
                self._transport = self._open()
            return self._transport

    def _open(self) -> Transport:
        context = self.context
        self._url = resolve(self._endpoint, env=context.env)
        if self._tls is not None and self._tls.accept_invalid_certs:
            log.warning("%s: tls.accept_invalid_certs is on: anybody can read along", context.stream)
        try:
            self._authenticator = self.authenticator()
            return Transport(
                self._url,
                tls=self._tls,
                env=context.env,
                read_s=self._timeout_s,
                at_most=self.config.max_in_flight,
            )
        except ValueError as error:
            raise DestinationBlocked(
                self.mask(f"{context.stream}: destination: {error}; check its endpoint, auth, tls and the proxy")
            ) from None
