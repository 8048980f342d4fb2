"""OAuth2 (RFC 6749): a client's own credentials, and refresh tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flicker_dagster.config.auth.base import AsksTokenEndpoint, Faults
from flicker_dagster.config.auth.signed import SigningKey
from flicker_dagster.config.records import FieldPath, Template


class OAuth2ClientCredentials(SigningKey, AsksTokenEndpoint):
    """An access token of OAuth2, minted with a client's own credentials (RFC 6749, 4.4): a secret, or an assertion signed
    with its private key (RFC 7523, 2.2)."""

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **AsksTokenEndpoint.PLACEHOLDERS,
        **SigningKey.PLACEHOLDERS,
        "assertion_audience": ("token_url", "key."),
    }

    type: Literal["oauth2_client_credentials"]
    client_id: Template = Field(description="the client's id; a template")
    client_secret: Template | None = Field(default=None, description="the client's secret, where it has no private key")
    client_auth: Literal["form", "basic", "headers", "private_key_jwt", "none"] = Field(
        default="form",
        description="where client id and secret are sent: `form` beside the other parameters, `basic`, `headers` as "
        "client_headers say; `private_key_jwt` signs with a key instead, `none` sends the id alone",
    )
    grant_type: str = Field(
        default="client_credentials", description="the grant, as the server calls it, such as `account_credentials`"
    )
    scope: Annotated[str | None, Field(description="scopes to ask for, with blanks between")] = None
    audience: Annotated[Template | None, Field(description="what the token is for, where the server asks for it")] = (
        None
    )
    assertion_audience: Template = Field(
        default="{token_url}", description="`aud` of the assertion of private_key_jwt; may hold {token_url}"
    )

    def faults(self) -> Faults:
        found = super().faults()
        if self.client_auth == "private_key_jwt":
            return found + self._key_faults()
        if self.keys_given:
            found.append((self.keys_given[0], "is not used, expected client_auth: private_key_jwt beside it"))
        if self.client_secret is None and self.client_auth != "none":
            found.append(("client_secret", "is missing, expected the client's secret, or client_auth: private_key_jwt"))
        if self.client_auth == "headers" and not self.client_headers:
            found.append(("client_headers", "are missing, expected headers with {client_id} and {client_secret}"))
        return found


class OAuth2RefreshToken(AsksTokenEndpoint):
    """An access token of OAuth2, minted with a refresh token (RFC 6749, 6). Where the server gives another one in exchange,
    the newest is kept, encrypted, before anything else is done, and the one of the configuration only begins; another one
    written there begins anew."""

    type: Literal["oauth2_refresh_token"]
    refresh_token: Template = Field(description="the refresh token to begin with; a template")
    client_id: Template = Field(description="the client's id; a template")
    client_secret: Template | None = Field(default=None, description="the client's secret; none for a public client")
    client_auth: Literal["form", "basic", "headers", "none"] = Field(
        default="form",
        description="where client id and secret are sent: `form` beside the other parameters, `basic`, `headers` as "
        "client_headers say; `none` sends the id alone",
    )
    scope: Annotated[str | None, Field(description="scopes to ask for, with blanks between; default those granted")] = (
        None
    )
    refresh_token_field: FieldPath = Field(
        default="refresh_token", description="where the next refresh token stands in the answer, if there is one"
    )

    def faults(self) -> Faults:
        found = super().faults()
        if self.client_secret is None and self.client_auth in ("basic", "headers"):
            found.append(("client_secret", f"is missing, expected it for client_auth: {self.client_auth}"))
        if self.client_auth == "headers" and not self.client_headers:
            found.append(("client_headers", "are missing, expected headers with {client_id} and {client_secret}"))
        return found
