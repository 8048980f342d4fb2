"""What is signed with a private key: JSON Web Tokens (RFC 7519) as a signature, or traded for a token (RFC 7523)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from flicker_dagster.config.auth.base import AsksTokenEndpoint, AuthRecord, Faults, SendsToken
from flicker_dagster.config.records import FieldPath, Milliseconds, Template

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip

#: What texts beside a private key may hold.
_OF_KEY = ("uuid", "key.", "key_sha256", "certificate_sha1", "certificate_sha256")
_CLAIMS = (*_OF_KEY, "token_url", "client_id")


class SigningKey(AuthRecord):
    """A private key, and how it signs."""

    key_file: Annotated[
        Template | None,
        Field(description="path of the private key: PEM, a JWK, or JSON that holds a PEM at `key_field`"),
    ] = None
    key_json: Annotated[Template | None, Field(description="such JSON itself, such as ${GOOGLE_KEY}")] = None
    key_pem: Annotated[Template | None, Field(description="a PEM itself, such as ${file:/run/secrets/key.pem}")] = None
    key_field: FieldPath = Field(default="private_key", description="where in JSON the PEM stands")
    key_passphrase: Template | None = Field(default=None, description="opens an encrypted PEM; may hold {key.path}")
    key_id: Template | None = Field(
        default=None,
        description="`kid` of what is signed; may hold {key.path}. Default what a JWK, or JSON, says (`kid`, "
        "`private_key_id`)",
    )
    algorithm: Algorithm = Field(default="RS256", description="how is signed; by the key's owner at the server")
    assertion_headers: dict[str, Template] = Field(
        default_factory=dict,
        description="more members of the JWT's header, such as `x5t: '{certificate_sha1}'`, of a certificate beside the key",
    )
    assertion_ms: Milliseconds = Field(default=300_000, description="how long what is signed is good: `exp`")
    backdated_ms: Milliseconds = Field(
        default=0, description="how far `iat` lies in the past, for servers whose clock is behind"
    )

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "key_id": _OF_KEY,
        "key_passphrase": ("key.",),
        "assertion_headers": _OF_KEY,
    }

    @property
    def keys_given(self) -> list[str]:
        return [name for name in ("key_file", "key_json", "key_pem") if getattr(self, name) is not None]

    def _key_faults(self) -> Faults:
        given = self.keys_given
        if not given:
            return [("key_file", "is missing, expected one of key_file, key_json and key_pem")]
        if len(given) > 1:
            return [(given[0], f"is given beside {' and '.join(given[1:])}, expected one of them")]
        return []


_JWT_CLAIMS = Field(
    default_factory=dict,
    description="what is signed, `iat` and `exp` beside: `iss`, `sub`, `aud`, `scope` … Texts may hold {uuid}, {client_id}, "
    "{token_url}, {key.path} (a member of the key's JSON) and {key_sha256} (of the public key, base64)",
)


class JwtAuth(SigningKey, SendsToken):
    """A JWT that we sign is itself the token (GitHub Apps, Snowflake key pairs)."""

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **SendsToken.PLACEHOLDERS,
        **SigningKey.PLACEHOLDERS,
        "claims": _OF_KEY,
    }

    type: Literal["jwt"]
    claims: dict[str, JsonValue] = _JWT_CLAIMS

    def faults(self) -> Faults:
        return super().faults() + self._key_faults()


class OAuth2JwtBearer(SigningKey, AsksTokenEndpoint):
    """An access token of OAuth2, traded for a signed assertion (RFC 7523, 2.1)."""

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **AsksTokenEndpoint.PLACEHOLDERS,
        **SigningKey.PLACEHOLDERS,
        "claims": _CLAIMS,
        "client_id": ("key.",),
        "client_secret": ("key.",),
    }

    type: Literal["oauth2_jwt_bearer"]
    claims: dict[str, JsonValue] = _JWT_CLAIMS
    client_id: Template | None = Field(default=None, description="the client's id, where the server asks for it beside")
    client_secret: Template | None = Field(default=None, description="the client's secret, where it asks for it beside")
    client_auth: Literal["form", "basic", "none"] = Field(
        default="form", description="where client id and secret are sent, if there are any"
    )
    scope: str | None = Field(default=None, description="scopes to ask for beside the assertion, with blanks between")
    grant_type: str = Field(
        default="urn:ietf:params:oauth:grant-type:jwt-bearer", description="the grant, as the server calls it"
    )

    def faults(self) -> Faults:
        return super().faults() + self._key_faults()


class GoogleServiceAccount(AuthRecord):
    """An access token of a Google service account, minted with a signed assertion: a short way to write that
    `oauth2_jwt_bearer`."""

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

    def written_out(self) -> OAuth2JwtBearer:
        """What it stands for."""
        subject: dict[str, JsonValue] = {} if self.subject is None else {"sub": self.subject}
        whose = "the account, its key and the user in whose name it asks" if subject else "the account and its key"
        return OAuth2JwtBearer(
            type="oauth2_jwt_bearer",
            token_url="{key.token_uri}",
            key_file=self.key_file,
            key_json=self.key_json,
            claims={"iss": "{key.client_email}", "scope": self.scope, **subject},
            assertion_ms=3_600_000,
            renew_before_ms=self.renew_before_ms,
            explain={
                "invalid_grant": f"check that {whose} still exist, and this machine's clock",
                "unauthorized_client": "allow the account this scope, by domain-wide delegation where there is a subject",
                "invalid_client": "check the key",
                "invalid_scope": "check scope",
            },
        )

    def faults(self) -> Faults:
        if (self.key_file is None) == (self.key_json is None):
            which = "missing" if self.key_file is None else "given beside key_json"
            return [("key_file", f"is {which}, expected either key_file or key_json")]
        return []
