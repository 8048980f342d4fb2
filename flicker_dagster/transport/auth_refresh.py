"""Access tokens for a refresh token that may serve once only: the next one comes in the answer, and whoever loses it has lost
the account.

So nobody asks before the store holds that he is about to (`asking`), no two ask at a time, the answer is kept before it is
used, and nothing is asked where the store cannot be read or written. A question that was never answered, or whose asker died,
stays written down (`unanswered`): if the refresh token is refused then, that is why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flicker_dagster.errors import StateError, TokenUnreadable
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.auth_minted import MintedToken
from flicker_dagster.transport.token_endpoint import TIMEOUT_S
from flicker_dagster.transport.tokens import Token

log = logging.getLogger("flicker.transport")

#: Longer than a question takes, with its writes: who asked so long ago elsewhere is not asking any more.
ASKING_MS = int(1000 * TIMEOUT_S) + 30_000
#: Between looks at the store while somebody asks elsewhere; after them the caller is told to come again.
LOOKS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
#: Between attempts to keep an answer.
KEEP_PAUSES_S = (0.0, 0.2, 1.0)

#: Of earlier first ones that have served and must not be sent again, so many are known.
MOST_OVER = 16

_BEGUN, _OVER, _ASKING, _PLACE, _UNANSWERED = "begun", "over", "asking", "place", "unanswered"
_ANEW = "authorise anew, and set refresh_token"


class Refresher(msgspec.Struct, frozen=True):
    """How a token is asked for with the newest refresh token. `first` is that of the configuration; `fingerprint` tells
    refresh tokens of the account apart. `ask` raises AuthFailed."""

    identity: str
    first: str
    fingerprint: Callable[[str], str]
    ask: Callable[[str], Token]

    @property
    def begun(self) -> str:
        """Of the first one: it begins anew when that changes."""
        return self.fingerprint(self.first)

    def __repr__(self) -> str:
        return "Refresher(***)"


class RefreshedToken(MintedToken):
    """A token in a header, minted with a refresh token. Thread-safe."""

    _minter: Any  # a Refresher

    def __init__(
        self,
        make: Callable[[bool], Refresher],
        *,
        sleep: Callable[[float], None] = time.sleep,
        **common: Any,
    ) -> None:
        super().__init__(make, **common)  # type: ignore[arg-type]
        self._sleep = sleep
        self._unkept: tuple[Token, Token] | None = None  # an answer that could not be written yet, and what it replaces
        self._newest = self._refresher.first

    @property
    def _refresher(self) -> Refresher:
        return self._minter

    def secrets(self) -> tuple[str, ...]:
        return (*super().secrets(), self._newest)

    def _minted(self, *, unlike: Token | None) -> Token:
        """Raises AuthFailed, of a store that cannot be used as well."""
        try:
            with self._tokens.minting(self._key) as alone:
                return self._minted_by_one(unlike, alone=alone)
        except TokenUnreadable as error:
            raise AuthFailed(f"the newest refresh token cannot be read: {error}", retryable=False) from None
        except StateError as error:
            raise AuthFailed(f"no token is asked for while it could not be kept: {error}", retryable=True) from None

    def _minted_by_one(self, unlike: Token | None, *, alone: bool) -> Token:
        if self._unkept is not None:
            token, replacing = self._unkept
            return self._kept(token, replacing=replacing)
        claim, standing = self._claimed(unlike, alone=alone)
        if claim is None:
            return standing
        try:
            token = self._asked_with(claim)
        except AuthFailed as error:
            self._settle(claim, error)
            raise self._explained(claim, error) from None
        token = self._marked(msgspec.structs.replace(token, refresh=token.refresh or claim.refresh), unlike)
        token.extra.update({name: claim.extra[name] for name in (_BEGUN, _OVER) if name in claim.extra})
        return self._kept(token, replacing=claim)

    # -- who asks

    def _claimed(self, unlike: Token | None, *, alone: bool) -> tuple[Token | None, Token]:
        """What is written before asking, with the refresh token to ask with; or no such, and the token that serves."""
        for pause_s in (*LOOKS_S, None):
            found = self._tokens.get(self._key)
            if found is not None and self._serves(found, unlike):
                return None, found
            wait_ms = self._others_turn_ms(found, alone=alone)
            if wait_ms <= 0:
                claim = self._claim_on(found)
                if self._tokens.put(self._key, claim, replacing=found) == claim:
                    return claim, claim
            if pause_s is None:
                break
            self._sleep(pause_s)
        raise AuthFailed(
            "another machine is asking for a new token of this account right now; it is looked for again",
            retryable=True,
            after_s=max(1.0, wait_ms / 1000),
        )

    def _others_turn_ms(self, found: Token | None, *, alone: bool) -> int:
        """How long somebody else may still be asking. Who died here left the lock, which others elsewhere cannot show."""
        if found is None or _ASKING not in found.extra:
            return 0
        if alone and found.extra.get(_PLACE) == self._tokens.place:
            return 0
        return max(0, int(found.extra[_ASKING]) + ASKING_MS - self._now_ms())

    def _claim_on(self, found: Token | None) -> Token:
        """Raises AuthFailed where another configuration has begun anew since."""
        ours, before = self._refresher, (found.extra if found is not None else {})
        if found is None or found.refresh is None or before.get(_BEGUN) != ours.begun:
            over = before.get(_OVER, "").split()
            if ours.begun in over:
                raise AuthFailed(
                    "this refresh_token was replaced by another one, in a configuration that is newer than the one here; it is "
                    f"not sent, for it has served. Set the newest one here as well, or {_ANEW}",
                    retryable=False,
                )
            if found is not None and found.refresh and ours.fingerprint(found.refresh) != before.get(_BEGUN):
                over = [*over, before.get(_BEGUN, "")][-MOST_OVER:]
            extra = {_BEGUN: ours.begun, _OVER: " ".join(over)}
            found = Token("", expires_ms=0, refresh=ours.first, extra=extra)
        self._newest = found.refresh or self._refresher.first
        earlier = found.extra.get(_ASKING) or found.extra.get(_UNANSWERED)
        extra = {**found.extra, _ASKING: str(self._now_ms()), _PLACE: self._tokens.place}
        return msgspec.structs.replace(found, extra={**extra, _UNANSWERED: earlier} if earlier else extra)

    def _asked_with(self, claim: Token) -> Token:
        """A new token; where the client's credentials are refused and others are there by now, with those."""
        assert claim.refresh is not None
        try:
            return self._refresher.ask(claim.refresh)
        except AuthFailed as error:
            begun = self._refresher.begun
            if error.retryable or error.unsure or not self._rotated() or self._refresher.begun != begun:
                raise
            return self._refresher.ask(claim.refresh)

    # -- what is kept

    def _kept(self, token: Token, *, replacing: Token) -> Token:
        """Written before it is used. Raises AuthFailed where it cannot be; it is tried again with the next signature then."""
        self._newest = token.refresh or self._newest
        self._unkept = (token, replacing)
        for number, pause_s in enumerate(KEEP_PAUSES_S, 1):
            self._sleep(pause_s)
            try:
                standing = self._tokens.put(self._key, token, replacing=replacing)
            except StateError as error:
                if number == len(KEEP_PAUSES_S):
                    log.error("a new refresh token cannot be kept, and is lost if this process ends now: %s", error)
                    raise AuthFailed(
                        f"the new token could not be kept, and is not used before: {error}", retryable=True
                    ) from None
                continue
            self._unkept = None
            return standing if standing != token and self._serves(standing, None) else token
        raise AssertionError("the last attempt returns or raises")

    def _settle(self, claim: Token, error: AuthFailed) -> None:
        """Nobody is asking any more. What is not known to be refused may have been answered."""
        extra: Mapping[str, str] = {name: value for name, value in claim.extra.items() if name not in (_ASKING, _PLACE)}
        if error.unsure:
            extra = {**extra, _UNANSWERED: claim.extra[_ASKING]}
        try:
            self._tokens.put(self._key, msgspec.structs.replace(claim, extra=dict(extra)), replacing=claim)
        except StateError as failed:
            log.warning("%s; others wait until the question is over", failed)

    def _explained(self, claim: Token, error: AuthFailed) -> AuthFailed:
        """A refresh token that is refused, with what is known of it."""
        if error.retryable or error.unsure or "invalid_grant" not in str(error):
            return error
        first = claim.refresh == self._refresher.first
        which = "the refresh token of the configuration" if first else "the refresh token that the server gave last"
        if _UNANSWERED in claim.extra:
            at = rfc3339_ms(int(claim.extra[_UNANSWERED]))
            why = f"a question at {at} got no answer that could be kept, and the server has most likely given the next one then"
        else:
            why = "it was used elsewhere, revoked, or has expired"
        return error.saying(f"{error}; {which} is refused: {why}. {_ANEW.capitalize()}")
