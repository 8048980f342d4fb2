"""How requests are signed, towards vendors and destinations alike: one record per way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.records import Milliseconds, Record, Template


class BearerAuth(Record):
    """`Authorization: Bearer …`."""

    type: Literal["bearer"]
    token: Template


class BasicDestinationAuth(Record):
    """`Authorization: Basic …` of user name and password."""

    type: Literal["basic"]
    username: Template
    password: Template


class HeaderAuth(Record):
    """A header of any name."""

    type: Literal["header"]
    name: str
    value: Template


class OAuth2ClientCredentials(Record):
    """An access token of OAuth2, minted with a client's own credentials (RFC 6749, 4.4)."""

    type: Literal["oauth2_client_credentials"]
    token_url: Template
    client_id: Template
    client_secret: Template
    scope: str | None = None
    audience: str | None = None
    client_auth: Literal["form", "basic"] = Field(default="form", description="where client id and secret are sent")
    parameters: dict[str, Template] = Field(default_factory=dict, description="sent to token_url beside the others")
    renew_before_ms: Milliseconds = Field(default=300_000, description="renewed so long before it ends")


class SigV4Auth(Record):
    """AWS Signature Version 4, with the given keys or what the environment of AWS names."""

    type: Literal["aws_sigv4"]
    region: Template
    service: str
    access_key_id: Template | None = None
    secret_access_key: Template | None = None
    session_token: Template | None = None
    role_arn: Template | None = Field(default=None, description="role to assume with these keys")
    external_id: Template | None = None


class HmacAuth(Record):
    """A keyed hash of the body, exactly as it is sent (after compression), in a header."""

    type: Literal["hmac"]
    header: str
    secret: Template
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    prefix: str = Field(default="", description="stands before the digest, such as `sha256=`")
    encoding: Literal["hex", "base64"] = "hex"


Auth = Annotated[
    BearerAuth | BasicDestinationAuth | HeaderAuth | OAuth2ClientCredentials | SigV4Auth | HmacAuth,
    Field(discriminator="type"),
]
