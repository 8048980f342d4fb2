"""A token for a declared request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from flicker_dagster.config.auth.base import Faults, MintsToken
from flicker_dagster.config.auth.fixed import BasicCredentials, BearerAuth, DigestAuth, HeaderAuth, HeadersAuth
from flicker_dagster.config.auth.hmac import HmacAuth
from flicker_dagster.config.auth.signed import JwtAuth
from flicker_dagster.config.endpoints import endpoint_fault
from flicker_dagster.config.records import Template

SignsLogin = Annotated[
    BearerAuth | BasicCredentials | HeaderAuth | HeadersAuth | DigestAuth | JwtAuth | HmacAuth,
    Field(discriminator="type"),
]


class LoginAuth(MintsToken):
    """A token for a declared request: a log-in, or an exchange of one credential for another."""

    type: Literal["login"]
    url: Template = Field(description="where to ask for a token")
    method: Literal["POST", "GET", "PUT"] = Field(default="POST", description="how to ask")
    headers: dict[str, Template] = Field(default_factory=dict, description="headers of that request; templates")
    query: dict[str, Template] = Field(default_factory=dict, description="its query parameters; templates")
    json_body: dict[str, JsonValue] | None = Field(default=None, description="its body, as JSON; texts are templates")
    form_body: dict[str, Template] | None = Field(default=None, description="its body, as a form; templates")
    auth: SignsLogin | None = Field(default=None, description="how that request is signed, if it is")

    def faults(self) -> Faults:
        found = super().faults()
        fault = endpoint_fault(self.url)
        found += [] if fault is None else [("url", fault)]
        if self.json_body is not None and self.form_body is not None:
            found.append(("form_body", "is given beside json_body, expected one of them"))
        if self.method == "GET" and (self.json_body is not None or self.form_body is not None):
            found.append(("method", "is GET, which has no body, expected POST or query"))
        return found + [(f"auth.{key}", what) for key, what in (self.auth.faults() if self.auth is not None else [])]
