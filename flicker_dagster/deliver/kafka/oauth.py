"""Access tokens for SASL OAUTHBEARER (RFC 7628, KIP-255), minted and kept as those of HTTP destinations are."""

from __future__ import annotations

from collections.abc import Callable

from flicker_dagster.config.auth import OAuth2ClientCredentials
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.transport.authenticators import AuthFailed, authenticator_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Request

#: Taken for the life of a token that does not say.
LIFE_MS = 300_000


class BearerTokens:
    """What librdkafka asks for a token. Raises SecretUnset, and ValueError for a record that cannot be used."""

    def __init__(
        self, auth: OAuth2ClientCredentials, context: LaneContext, *, ends: Callable[[], Deadline | None]
    ) -> None:
        self._context = context
        self._authenticator = authenticator_of(
            auth, env=context.env, tokens=context.tokens, key=context.token_key, clock=context.clock, ends=ends
        )

    def token(self, _: str) -> tuple[str, float]:
        """The token and when it ends, in seconds since the epoch: librdkafka's `oauth_cb`. Raises AuthFailed."""
        signed = self._authenticator.sign(Request("POST", ""))
        kept = self._context.tokens.get(self._context.token_key)
        ends_ms = kept.expires_ms if kept is not None else None
        return signed.headers["Authorization"].partition(" ")[2], (ends_ms or self._context.now_ms() + LIFE_MS) / 1000

    def renew(self) -> bool:
        """After a refusal: is there another token to try?"""
        try:
            return self._authenticator.renew(Answer(401, {}))
        except AuthFailed:
            return False

    def secrets(self) -> tuple[str, ...]:
        """The tokens in use."""
        secrets = getattr(self._authenticator, "secrets", None)
        return secrets() if secrets is not None else ()
