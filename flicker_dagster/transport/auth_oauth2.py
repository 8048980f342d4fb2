"""OAuth2 client credentials (RFC 6749, 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

from flicker_dagster.config.auth import OAuth2ClientCredentials
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.auth_minted import MintedToken, identity
from flicker_dagster.transport.connections import basic_authorization
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.token_endpoint import TokenEndpoint
from flicker_dagster.transport.tokens import Token, Tokens


def client_credentials(
    auth: OAuth2ClientCredentials,
    *,
    env: Mapping[str, str] | None,
    tokens: Tokens,
    key: str,
    clock: Callable[[], float],
    ends: Callable[[], Deadline | None],
) -> MintedToken:
    """Raises SecretUnset, and ValueError for a token_url that cannot be used."""
    url = resolve(auth.token_url, env=env)
    client_id, secret = resolve(auth.client_id, env=env), resolve(auth.client_secret or "", env=env)
    form = {"grant_type": "client_credentials"}
    form |= {name: value for name, value in (("scope", auth.scope), ("audience", auth.audience)) if value is not None}
    form |= {name: resolve(value, env=env) for name, value in auth.parameters.items()}
    headers: dict[str, str] = {}
    if auth.client_auth == "basic":
        # Both are encoded as in a form before they are joined (RFC 6749, 2.3.1).
        headers["Authorization"] = basic_authorization(quote_plus(client_id), quote_plus(secret))
    endpoint = TokenEndpoint(url, tls=auth.tls, env=env, clock=clock, ends=ends)
    own = {"client_id": client_id, "client_secret": secret} if auth.client_auth == "form" else {}

    def mint() -> Token:
        return endpoint.ask({**form, **own}, headers=headers, secrets=(secret, f"{client_id}:{secret}"))

    return MintedToken(
        mint,
        tokens=tokens,
        key=key,
        identity=identity(url, client_id, secret, *(f"{name}={value}" for name, value in sorted(form.items()))),
        renew_before_ms=auth.renew_before_ms,
        clock=clock,
    )
