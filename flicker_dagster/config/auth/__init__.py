"""How requests are signed, towards vendors and destinations alike: one record per way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from flicker_dagster.config.auth.base import AsksTokenEndpoint, AuthRecord, MintsToken, SendsToken
from flicker_dagster.config.auth.fixed import (
    BasicCredentials,
    BearerAuth,
    DigestAuth,
    HeaderAuth,
    HeadersAuth,
    QueryAuth,
)
from flicker_dagster.config.auth.hmac import HmacAuth
from flicker_dagster.config.auth.login import LoginAuth
from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials, OAuth2RefreshToken
from flicker_dagster.config.auth.part import PartAuth
from flicker_dagster.config.auth.signed import GoogleServiceAccount, JwtAuth, OAuth2JwtBearer, SigningKey
from flicker_dagster.config.auth.sigv4 import SigV4Auth

__all__ = [
    "AsksTokenEndpoint",
    "Auth",
    "AuthRecord",
    "BasicCredentials",
    "BearerAuth",
    "DigestAuth",
    "GoogleServiceAccount",
    "HeaderAuth",
    "HeadersAuth",
    "HmacAuth",
    "JwtAuth",
    "LoginAuth",
    "MintsToken",
    "OAuth2ClientCredentials",
    "OAuth2JwtBearer",
    "OAuth2RefreshToken",
    "PartAuth",
    "QueryAuth",
    "SendsToken",
    "SigV4Auth",
    "SigningKey",
    "authorization_headers",
    "two_ways_to_authenticate",
]

Auth = Annotated[
    BearerAuth
    | BasicCredentials
    | HeaderAuth
    | HeadersAuth
    | QueryAuth
    | DigestAuth
    | OAuth2ClientCredentials
    | OAuth2RefreshToken
    | OAuth2JwtBearer
    | GoogleServiceAccount
    | JwtAuth
    | LoginAuth
    | HmacAuth
    | SigV4Auth
    | PartAuth,
    Field(discriminator="type"),
]


def authorization_headers(headers: Mapping[str, str]) -> list[str]:
    """The keys of headers that authenticate a request."""
    return [f"headers.{name}" for name in headers if name.lower() == "authorization"]


def two_ways_to_authenticate(keys: Sequence[str]) -> list[tuple[str, str]]:
    """The fault of a record that says under several keys how its requests are signed."""
    if len(keys) < 2:
        return []
    return [(keys[-1], f"two ways to authenticate at once ({' and '.join(keys)}), expected one")]
