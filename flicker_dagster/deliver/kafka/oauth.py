"""Access tokens for SASL OAUTHBEARER (RFC 7628, KIP-255), minted and kept as those of HTTP destinations are."""

from __future__ import annotations

from collections.abc import Callable

from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.transport.auth_oauth2 import client_credentials
from flicker_dagster.transport.auth_opening import Opening
from flicker_dagster.transport.authenticators import AuthFailed
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer

#: Taken for the life of a token that does not say.
LIFE_MS = 300_000


class BearerTokens:
    """What librdkafka asks for a token. Raises SecretUnset, and ValueError for a record that cannot be used."""

    def __init__(
        self, auth: OAuth2ClientCredentials, context: LaneContext, *, ends: Callable[[], Deadline | None]
    ) -> None:
        self._context = context
        opening = Opening(context.env, context.tokens, context.token_key, context.clock, ends)
        self._authenticator = client_credentials(auth, opening)

    def token(self, _: str) -> tuple[str, float]:
        """The token and when it ends, in seconds since the epoch: librdkafka's `oauth_cb`. Raises AuthFailed."""
        token = self._authenticator.token()
        return token.value, (token.expires_ms or self._context.now_ms() + LIFE_MS) / 1000

    def renew(self) -> bool:
        """After a refusal: is there another token to try?"""
        try:
            return self._authenticator.renew(Answer(401, {}))
        except AuthFailed:
            return False

    def secrets(self) -> tuple[str, ...]:
        """The tokens in use."""
        return self._authenticator.secrets()
