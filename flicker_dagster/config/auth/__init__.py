"""How requests are signed, towards vendors and destinations alike: one record per way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from flicker_dagster.config.auth.base import AuthRecord
from flicker_dagster.config.kinds import Kinds

if TYPE_CHECKING:
    from flicker_dagster.config.auth import fixed, hmac, login, oauth2, part, signed, sigv4

#: The modules of the ways, and the ways by their `type`, in the order in which they are told of.
_WAYS = {
    "fixed": ("bearer", "basic", "header", "headers", "query", "digest"),
    "oauth2": ("oauth2_client_credentials", "oauth2_refresh_token"),
    "signed": ("oauth2_jwt_bearer", "google_service_account", "jwt"),
    "login": ("login",),
    "hmac": ("hmac",),
    "sigv4": ("aws_sigv4",),
    "part": ("part",),
}

WAYS = Kinds({kind: f"{__name__}.{module}" for module, kinds in _WAYS.items() for kind in kinds})

if TYPE_CHECKING:
    Auth = (
        fixed.BearerAuth
        | fixed.BasicCredentials
        | fixed.HeaderAuth
        | fixed.HeadersAuth
        | fixed.QueryAuth
        | fixed.DigestAuth
        | oauth2.OAuth2ClientCredentials
        | oauth2.OAuth2RefreshToken
        | signed.OAuth2JwtBearer
        | signed.GoogleServiceAccount
        | signed.JwtAuth
        | login.LoginAuth
        | hmac.HmacAuth
        | sigv4.SigV4Auth
        | part.PartAuth
    )
else:
    Auth = Annotated[AuthRecord, WAYS]


def authorization_headers(headers: Mapping[str, str]) -> list[str]:
    """The keys of headers that authenticate a request."""
    return [f"headers.{name}" for name in headers if name.lower() == "authorization"]


def two_ways_to_authenticate(keys: Sequence[str]) -> list[tuple[str, str]]:
    """The fault of a record that says under several keys how its requests are signed."""
    if len(keys) < 2:
        return []
    return [(keys[-1], f"two ways to authenticate at once ({' and '.join(keys)}), expected one")]
