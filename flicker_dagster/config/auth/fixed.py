"""Ways to sign that need nothing but the configuration, or a server's challenge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.auth.base import AuthRecord, SendsToken
from flicker_dagster.config.records import Template


class BearerAuth(SendsToken):
    """`Authorization: Bearer …`, or a token after any other word, in any other header."""

    type: Literal["bearer"]
    token: Template = Field(description="the token; a template", examples=["${SIEM_API_KEY}"])


class BasicCredentials(AuthRecord):
    """`Authorization: Basic …` of user name and password."""

    type: Literal["basic"]
    username: Template = Field(description="the user's name; a template")
    password: Template = Field(default="", description="the password; a template. Empty where a token is the user name")


class HeaderAuth(AuthRecord):
    """A header of any name."""

    type: Literal["header"]
    name: str = Field(description="the header's name", examples=["X-Api-Key"])
    value: Template = Field(description="the header's value; a template", examples=["${SIEM_API_KEY}"])


class HeadersAuth(AuthRecord):
    """Several headers, such as a key and an application's key."""

    type: Literal["headers"]
    headers: dict[str, Template] = Field(min_length=1, description="the headers; templates")


class QueryAuth(AuthRecord):
    """A parameter in the address. Addresses are written to logs along the way: a header is better where there is a choice."""

    type: Literal["query"]
    name: str = Field(min_length=1, description="the parameter's name")
    value: Template = Field(description="the parameter's value; a template")


class DigestAuth(AuthRecord):
    """HTTP Digest (RFC 7616): user name and password prove themselves by a hash over the server's challenge."""

    type: Literal["digest"]
    username: Template = Field(description="the user's name; a template")
    password: Template = Field(description="the password; a template", examples=["${SIEM_PASSWORD}"])
