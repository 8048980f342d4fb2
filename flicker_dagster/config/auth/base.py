"""What the ways to sign a request have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flicker_dagster.config.endpoints import endpoint_fault
from flicker_dagster.config.placeholders import placeholder_fault
from flicker_dagster.config.records import FieldPath, Milliseconds, Record, Template, Tls
from flicker_dagster.config.secrets import texts_of

Faults = list[tuple[str, str]]


class AuthRecord(Record):
    """One way to sign requests."""

    #: Which `{placeholders}` the texts under a key may hold; a key that is not named here knows none, and keeps braces.
    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def faults(self) -> Faults:
        """Keys that contradict each other or cannot be used, each with what is wrong and what was expected."""
        found: Faults = []
        for key, known in self.PLACEHOLDERS.items():
            for path, text in texts_of(getattr(self, key), key):
                fault = placeholder_fault(text, known)
                found += [] if fault is None else [(path, fault)]
        return found


class SendsToken(AuthRecord):
    """How a token is put into a request."""

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {"format": ("token",)}

    header: str = Field(default="Authorization", min_length=1, description="header that carries the token")
    format: Template = Field(
        default="Bearer {token}",
        description="what that header holds, such as `SSWS {token}`, `Token token={token}`, `bearer:{token}` or just "
        "`{token}`",
    )

    def faults(self) -> Faults:
        found = super().faults()
        if "{token}" not in self.format:
            found.append(("format", "holds no {token}, expected a text such as `Bearer {token}`"))
        return found


class MintsToken(SendsToken):
    """A token that is asked for: where it stands in the answer, how long it serves, what a refusal means.

    It is kept, encrypted, for later runs and other processes, shared by all streams of the account, and renewed ahead of its
    end and once where it is refused with 401.
    """

    token_field: FieldPath = Field(default="access_token", description="where the token stands in the answer")
    token_in: Literal["body", "header", "cookie"] = Field(
        default="body", description="what of the answer `token_field` names: a member of its JSON, a header, a cookie"
    )
    expires_field: FieldPath = Field(
        default="expires_in",
        description="where its end stands: seconds from now, or a time (ISO 8601, seconds since 1970)",
    )
    lifetime_ms: Milliseconds | None = Field(
        default=None, description="how long it serves where the answer does not tell; default until it is refused"
    )
    renew_before_ms: Milliseconds = Field(
        default=300_000, description="renewed so long before it ends, and after half of its life at the earliest"
    )
    tells: list[FieldPath] = Field(
        default_factory=list, description="what else of the answer is kept beside the token, such as `instance_url`"
    )
    explain: dict[str, str] = Field(
        default_factory=dict,
        description="what to do about a refusal, by a code or words in its answer: `{AADSTS7000222: the secret has "
        "expired, …}`",
    )
    tls: Tls | None = Field(default=None, description="authorities and certificates towards the token's server")

    def faults(self) -> Faults:
        found = super().faults()
        return found + [(f"tls.{key}", what) for key, what in (self.tls.faults() if self.tls is not None else [])]


#: What stands in the request for a token anyway.
OWN_PARAMETERS = frozenset(
    {"grant_type", "client_id", "client_secret", "scope", "audience", "refresh_token", "assertion", "client_assertion"}
)


class AsksTokenEndpoint(MintsToken):
    """A question to an authorization server's token endpoint (RFC 6749)."""

    token_url: Annotated[Template, Field(description="the authorization server's token endpoint")]
    parameters_in: Literal["form", "json", "query"] = Field(
        default="form",
        description="how parameters are sent to token_url: in the body, as a form or JSON, or in the address",
    )
    parameters: dict[str, Template] = Field(
        default_factory=dict, description="sent to token_url beside the others, such as `resource`"
    )
    client_headers: dict[str, Template] = Field(
        default_factory=dict, description="more headers for token_url; may hold {client_id} and {client_secret}"
    )

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **SendsToken.PLACEHOLDERS,
        "client_headers": ("client_id", "client_secret"),
    }

    def faults(self) -> Faults:
        found = super().faults()
        own = sorted(OWN_PARAMETERS & self.parameters.keys())
        found += [(f"parameters.{name}", "is sent already, expected a parameter of another name") for name in own]
        fault = None if self.token_url.startswith("{key.") else endpoint_fault(self.token_url)
        return found if fault is None else [*found, ("token_url", fault)]
