"""Signing with a token that somebody mints: one for its whole life, however many threads, processes and runs use it."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import blake2b

import msgspec

from flicker_dagster.config.auth.base import SendsToken
from flicker_dagster.config.placeholders import fill
from flicker_dagster.errors import SecretUnset, StateError
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, NoAuth, Request
from flicker_dagster.transport.token_answer import TOLD
from flicker_dagster.transport.tokens import Token, Tokens

log = logging.getLogger("flicker.transport")

#: A token that was minted because another was refused, and is refused itself, is not replaced again for so long.
REFUSED_AGAIN_MS = 60_000
#: After a renewal ahead of time that failed, the next one is tried so much later; the token is good until it ends.
EARLY_RENEWAL_PAUSE_MS = 30_000

_FOR, _AFTER_REFUSAL = "for", "after_refusal"

#: What a server says of a token that it refuses (RFC 6750, 3).
_CHALLENGE = re.compile(r'(error|scope)\s*=\s*"([\x20-\x21\x23-\x7e]{1,200})"')
LONGEST_CHALLENGE_CHARS = 8 * 1024


def identity(*parts: str) -> str:
    """A fingerprint of everything that a token depends on: one that was minted for another is of no use."""
    return blake2b("\x00".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Minter(msgspec.Struct, frozen=True):
    """How a token is asked for with credentials as they are: `identity` changes with anything that it depends on. `ask`
    raises AuthFailed."""

    identity: str
    ask: Callable[[], Token]


class MintedToken(NoAuth):
    """A token in a header. Thread-safe.

    `make` gives how to ask for one, with what is `fresh` of the configuration's secrets where it is given True: after a
    refusal they may have been rotated. `sends` says how the token is sent, `key` names it in the store. It is renewed
    `renew_before_ms` before its end, after half of its life at the earliest, and once after a 401. A store that cannot be
    read or written costs a warning and another mint, never a request. Raises what `make` raises.
    """

    def __init__(
        self,
        make: Callable[[bool], Minter],
        *,
        sends: SendsToken,
        tokens: Tokens,
        key: str,
        renew_before_ms: int,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._make = make
        self._minter = make(False)
        self._sends = sends
        self._env = env
        self._tokens = tokens
        self._key = key
        self._renew_before_ms = renew_before_ms
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._failed: AuthFailed | None = None
        self._failures = 0
        self._not_before_ms = 0
        self._signed = threading.local()
        self._store_warned = False

    # -- the protocol

    def sign(self, request: Request) -> Request:
        token = self.token()
        header = {self._sends.header: fill(self._sends.format, lambda _: token.value, env=self._env)}
        return msgspec.structs.replace(request, headers=request.headers | header)

    def renew(self, refused: Answer) -> bool:
        used: Token | None = getattr(self._signed, "token", None)
        if refused.status != 401 or used is None:
            return False
        with self._lock:
            if self._token is not None and self._token.value != used.value:
                return True  # another thread was faster
            if self._now_ms() < int(used.extra.get(_AFTER_REFUSAL, 0)) + REFUSED_AGAIN_MS:
                return False
            self._token = self._minted(unlike=used)
            return True

    def secrets(self) -> tuple[str, ...]:
        used: Token | None = getattr(self._signed, "token", None)
        return tuple({token.value for token in (self._token, used) if token is not None})

    def told(self, name: str) -> str | None:
        return self.token().extra.get(TOLD + name)

    def explain(self, refused: Answer) -> str:
        used: Token | None = getattr(self._signed, "token", None)
        if used is None or refused.status not in (401, 403):
            return ""
        said = dict(_CHALLENGE.findall(refused.headers.get("www-authenticate", "")[:LONGEST_CHALLENGE_CHARS]))
        if said.get("error") == "insufficient_scope":
            wanted = f", which asks for {said['scope']}" if said.get("scope") else ""
            return f"the token lacks a scope{wanted}: check scope, and that it was granted to the client"
        if refused.status == 403:
            return "the token is known, and may not do this: check scope, and what is granted to the client or user"
        if _AFTER_REFUSAL in used.extra:
            return "a new token is refused as well: check audience, scope and the account's region or tenant"
        return ""

    def token(self) -> Token:
        """The token to sign with now, for who sends it in another way. Raises AuthFailed."""
        self._signed.token = self._usable()
        return self._signed.token

    # -- one token for all

    def _usable(self) -> Token:
        token = self._token
        if token is not None and self._is_fresh(token):
            return token
        failures = self._failures
        with self._lock:
            token, now_ms = self._token, self._now_ms()
            if token is not None and self._is_fresh(token):
                return token
            if self._failed is not None and (failures != self._failures or now_ms < self._not_before_ms):
                # Failed while this thread waited, or told when to come again: who is asked already is not asked once more.
                if token is not None and self._is_good(token):
                    return token
                raise self._failed.again()
            try:
                self._token = self._minted(unlike=None)
                self._failed = None
            except AuthFailed as error:
                self._failures += 1
                self._failed = error
                good = token is not None and self._is_good(token)
                pause_ms = EARLY_RENEWAL_PAUSE_MS if good else 0
                self._not_before_ms = now_ms + max(pause_ms, int(1000 * (error.after_s or 0)))
                if token is None or not good:
                    raise
                log.warning("a token could not be renewed ahead of its end, and is used until then")
                return token
            return self._token

    def _minted(self, *, unlike: Token | None) -> Token:
        """A token from the store that is fresh and not the refused one, else a new one."""
        with self._alone():
            found = self._stored()
            if found is not None and self._serves(found, unlike):
                return found
            token = self._marked(self._asked(), unlike)
            try:
                standing = self._tokens.put(self._key, token, replacing=found)
            except StateError as error:
                self._warn(error)
                return token
        # What another machine put there meanwhile serves as well, where it is for the same.
        return standing if self._serves(standing, unlike) else token

    def _asked(self) -> Token:
        """A new token; where the credentials are refused and others are there by now, with those."""
        try:
            return self._minter.ask()
        except AuthFailed as error:
            if error.retryable or not self._rotated():
                raise
            return self._minter.ask()

    def _rotated(self) -> bool:
        """Are there other credentials by now?"""
        try:
            again = self._make(True)
        except (SecretUnset, ValueError):  # the refusal says more
            return False
        rotated = again.identity != self._minter.identity
        self._minter = again
        return rotated

    def _marked(self, token: Token, unlike: Token | None) -> Token:
        """The token with what it is for, and whether another one was refused before it."""
        extra = {**token.extra, _FOR: self._minter.identity}
        if unlike is not None:
            extra[_AFTER_REFUSAL] = str(self._now_ms())
        return msgspec.structs.replace(token, extra=extra)

    def _serves(self, token: Token, unlike: Token | None) -> bool:
        """Is it for the same, due for longer, and not the one that was refused?"""
        ours = token.extra.get(_FOR) == self._minter.identity and self._is_fresh(token)
        return ours and (unlike is None or token.value != unlike.value)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(self._tokens.minting(self._key))
            except StateError as error:
                self._warn(error)
            yield

    def _stored(self) -> Token | None:
        try:
            return self._tokens.get(self._key)
        except StateError as error:
            self._warn(error)
            return None

    def _warn(self, error: StateError) -> None:
        if not self._store_warned:
            self._store_warned = True
            log.warning("%s; a token is minted for this run alone", error)

    # -- its life

    def _is_fresh(self, token: Token) -> bool:
        """Is it good, and not yet due to be renewed?"""
        if token.expires_ms is None:
            return True
        before_ms = self._renew_before_ms
        if token.minted_ms is not None:
            before_ms = min(before_ms, (token.expires_ms - token.minted_ms) // 2)
        return self._now_ms() < token.expires_ms - before_ms

    def _is_good(self, token: Token) -> bool:
        return token.expires_ms is None or self._now_ms() < token.expires_ms

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
