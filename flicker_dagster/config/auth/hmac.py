"""A keyed hash over a declared text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from flicker_dagster.config.auth.base import AuthRecord, Faults
from flicker_dagster.config.records import Template

#: What the signed text may hold.
SIGNED = (
    "date",
    "method",
    "scheme",
    "host",
    "path",
    "query",
    "params",
    "body",
    "body_md5",
    "body_sha1",
    "body_sha256",
    "body_sha512",
    "body_sha256_base64",
    "body_sha512_base64",
    "uuid",
    "username",
)


class HmacAuth(AuthRecord):
    """A keyed hash of a text that is declared line by line, such as the body exactly as it is sent (after compression)."""

    PLACEHOLDERS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "lines": SIGNED,
        "headers": ("signature", "basic", "date", "uuid", "username", "body_md5", "body_sha256", "body_sha256_base64"),
    }

    type: Literal["hmac"]
    secret: Template = Field(description="the secret that the hash is made with; a template")
    header: str | None = Field(default=None, description="header that carries the hash; more is said by `headers`")
    prefix: str = Field(default="", description="stands before the digest in `header`, such as `sha256=`")
    headers: dict[str, Template] = Field(
        default_factory=dict,
        description="headers to set instead of `header`; may hold {signature}, {basic} (base64 of `username:signature`), "
        "{date}, {uuid}, {username}, {body_md5}, {body_sha256} and {body_sha256_base64}",
    )
    username: Template | None = Field(default=None, description="name of the key, for {username} and {basic}")
    lines: list[Template] = Field(
        default_factory=lambda: ["{body}"],
        min_length=1,
        description="the signed text, line by line; may hold {date}, {method}, {scheme}, {host}, {path}, {query}, {params} "
        "(of query and form, RFC 3986, sorted), {body}, its hash in hex {body_md5} {body_sha1} {body_sha256} {body_sha512} "
        "or in base64 {body_sha256_base64} {body_sha512_base64}, {uuid} (one per request) and {username}",
    )
    joiner: str = Field(default="\n", description="stands between the lines; the default is a line break")
    algorithm: Literal["sha256", "sha512", "sha1", "md5"] = Field(default="sha256", description="the hash")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="how the hash is written")
    key_encoding: Literal["text", "base64", "hex"] = Field(default="text", description="how `secret` is written")
    date_format: str = Field(
        default="http",
        description="how {date} is written: `http` (RFC 9110, GMT), `rfc2822` (-0000), `iso8601`, `unix`, `unix_ms`, or "
        "directives such as `%Y%m%dT%H%M%SZ`",
    )

    def faults(self) -> Faults:
        found = super().faults()
        if (self.header is None) == (not self.headers):
            which = "is missing" if self.header is None else "is given beside headers"
            found.append(("header", f"{which}, expected either header or headers"))
        if self.prefix and self.header is None:
            found.append(("prefix", "stands without header, expected it in a text of headers"))
        if self.headers and not any(
            sign in text for text in self.headers.values() for sign in ("{signature}", "{basic}")
        ):
            found.append(("headers", "hold no {signature}, expected it in one of them"))
        if self.username is None and any(
            name in text for text in (*self.headers.values(), *self.lines) for name in ("{basic}", "{username}")
        ):
            found.append(("username", "is missing, expected the name of the key for {basic} and {username}"))
        if "%" not in self.date_format and self.date_format not in DATE_FORMATS:
            found.append(("date_format", f"found {self.date_format!r}, expected one of {', '.join(DATE_FORMATS)}"))
        return found


DATE_FORMATS = ("http", "rfc2822", "iso8601", "unix", "unix_ms")
