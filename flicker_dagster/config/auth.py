"""How requests are signed, towards vendors and destinations alike: one record per way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.records import Milliseconds, Record, Template, Tls


class AuthRecord(Record):
    """One way to sign requests."""

    def faults(self) -> list[tuple[str, str]]:
        """Keys that contradict each other or cannot be used, each with what is wrong and what was expected."""
        return []


class BearerAuth(AuthRecord):
    """`Authorization: Bearer …`."""

    type: Literal["bearer"]
    token: Template


class BasicDestinationAuth(AuthRecord):
    """`Authorization: Basic …` of user name and password."""

    type: Literal["basic"]
    username: Template
    password: Template


class HeaderAuth(AuthRecord):
    """A header of any name."""

    type: Literal["header"]
    name: str
    value: Template


class OAuth2ClientCredentials(AuthRecord):
    """An access token of OAuth2, minted with a client's own credentials (RFC 6749, 4.4)."""

    type: Literal["oauth2_client_credentials"]
    token_url: Annotated[Template, Field(description="the authorization server's token endpoint")]
    client_id: Template
    client_secret: Template
    scope: Annotated[str | None, Field(description="scopes to ask for, with blanks between")] = None
    audience: Annotated[str | None, Field(description="what the token is for, where the server asks for it")] = None
    client_auth: Literal["form", "basic"] = Field(default="form", description="where client id and secret are sent")
    parameters: dict[str, Template] = Field(
        default_factory=dict, description="sent to token_url beside the others, such as `resource`"
    )
    renew_before_ms: Milliseconds = Field(
        default=300_000, description="renewed so long before it ends, and after half of its life at the earliest"
    )
    tls: Tls | None = Field(default=None, description="authorities and certificates towards token_url")

    def faults(self) -> list[tuple[str, str]]:
        from flicker_dagster.config.endpoints import endpoint_fault  # which knows of all models, and those of this

        own = sorted(OWN_PARAMETERS & self.parameters.keys())
        found = [(f"parameters.{name}", "is sent already, expected a parameter of another name") for name in own]
        found += [(f"tls.{key}", what) for key, what in (self.tls.faults() if self.tls is not None else [])]
        fault = endpoint_fault(self.token_url)
        return found if fault is None else [*found, ("token_url", fault)]


#: What stands in the request for a token anyway.
OWN_PARAMETERS = frozenset({"grant_type", "client_id", "client_secret", "scope", "audience"})


class GoogleServiceAccount(AuthRecord):
    """An access token of a Google service account, minted with a signed assertion (RFC 7523, 2.1)."""

    type: Literal["google_service_account"]
    key_file: Annotated[Template | None, Field(description="path of the account's JSON key")] = None
    key_json: Annotated[Template | None, Field(description="the JSON key itself, such as ${GOOGLE_KEY}")] = None
    scope: Annotated[str, Field(description="scopes to ask for, with blanks between")] = (
        "https://www.googleapis.com/auth/cloud-platform"
    )
    subject: Annotated[
        Template | None, Field(description="the user to act for, where the account has domain-wide delegation")
    ] = None
    renew_before_ms: Milliseconds = Field(default=300_000, description="renewed so long before it ends")

    def faults(self) -> list[tuple[str, str]]:
        if (self.key_file is None) == (self.key_json is None):
            which = "missing" if self.key_file is None else "given beside key_json"
            return [("key_file", f"is {which}, expected either key_file or key_json")]
        return []


class SigV4Auth(AuthRecord):
    """AWS Signature Version 4, with the given keys, or those that the environment of AWS names: variables, profile, web
    identity, container or machine role."""

    type: Literal["aws_sigv4"]
    region: Template
    service: Annotated[
        str, Field(description="`es` OpenSearch domains, `aoss` OpenSearch Serverless, `s3`, `execute-api` …")
    ]
    access_key_id: Template | None = None
    secret_access_key: Template | None = None
    session_token: Template | None = None
    role_arn: Template | None = Field(default=None, description="role to assume with these keys")
    external_id: Template | None = Field(default=None, description="what the role's trust policy asks for")

    def faults(self) -> list[tuple[str, str]]:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            missing = "access_key_id" if self.access_key_id is None else "secret_access_key"
            return [(missing, "is missing, expected access_key_id and secret_access_key together")]
        if self.session_token is not None and self.access_key_id is None:
            return [("session_token", "stands without keys, expected access_key_id and secret_access_key beside it")]
        if self.external_id is not None and self.role_arn is None:
            return [("external_id", "stands without a role, expected role_arn beside it")]
        return []


class HmacAuth(AuthRecord):
    """A keyed hash of the body, exactly as it is sent (after compression), in a header."""

    type: Literal["hmac"]
    header: str
    secret: Template
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    prefix: str = Field(default="", description="stands before the digest, such as `sha256=`")
    encoding: Literal["hex", "base64"] = "hex"


Auth = Annotated[
    BearerAuth
    | BasicDestinationAuth
    | HeaderAuth
    | OAuth2ClientCredentials
    | GoogleServiceAccount
    | SigV4Auth
    | HmacAuth,
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
