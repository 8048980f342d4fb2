"""What all records of the configuration are made of: frozen, strict, closed; and the types of their fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Template = Annotated[
    str,
    Field(description="text; may hold ${VAR}, ${VAR:-default}, ${file:path}, ${aws_secret:name} or ${aws_ssm:name}"),
]
DAY_MS = 86_400_000
#: More than any span of time here can mean; a time so far away is still a time to Python.
CENTURY_MS = 36_525 * DAY_MS
Milliseconds = Annotated[int, Field(ge=0, le=CENTURY_MS)]
TimeoutMs = Annotated[int, Field(ge=1, le=DAY_MS)]
Status = Annotated[int, Field(ge=100, le=599)]
#: A number of events, pages or bytes that stands in for "no limit" at most.
Count = Annotated[int, Field(ge=1, le=2**53)]
FieldPath = Annotated[
    str,
    Field(
        description="dotted path into the event or answer; a key that holds the dots itself is found first, and \\. is "
        "always a dot of the key"
    ),
]


class Record(BaseModel):
    """Frozen, strict, and closed: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BasicAuth(Record):
    """User name and password of HTTP basic authentication."""

    username: Template = Field(description="the user's name; a template")
    password: Template = Field(description="the password; a template", examples=["${SIEM_PASSWORD}"])


class Tls(Record):
    cert_path: Template | None = Field(default=None, description="client certificate (PEM)")
    key_path: Template | None = Field(default=None, description="its key (PEM)")
    ca_cert_path: Template | None = Field(default=None, description="CA bundle to trust")
    accept_invalid_certs: bool = Field(default=False, description="trust anybody; for tests only")

    def faults(self) -> list[tuple[str, str]]:
        """Keys that contradict each other, each with what is wrong and what was expected."""
        if bool(self.cert_path) == bool(self.key_path):
            return []
        missing = "key_path" if self.cert_path else "cert_path"
        return [(missing, "is missing, expected cert_path and key_path together")]
