"""`type: http`: any HTTP endpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth import BasicDestinationAuth, BearerAuth, HeaderAuth
from flicker_dagster.config.destinations.base import DestinationRecord, Guide
from flicker_dagster.config.records import BasicAuth, Count, Status, Template, Tls


class HttpDestination(DestinationRecord):
    """POST to any HTTP endpoint: a JSON array of the vendor's events, byte for byte, unless `format` says otherwise."""

    GUIDE = Guide(
        title="Any HTTP endpoint",
        create=("Have an endpoint that takes a `POST` of JSON and answers 2xx once the events are safe.",),
        rights="To write, and nothing else.",
        block="""siem:
  type: http
  endpoint: https://siem.example.com/ingest
  auth:
    type: bearer
    token: ${SIEM_TOKEN}
""",
        guarantee="at least once, same ids",
        bound="exactly once where the endpoint heeds `Idempotency-Key`",
    )

    type: Literal["http"]
    endpoint: Template
    auth: Annotated[BearerAuth | BasicDestinationAuth | HeaderAuth, Field(discriminator="type")] | None = None
    api_key: Template | None = Field(default=None, description="original spelling of auth.type bearer")
    basic: BasicAuth | None = Field(default=None, description="original spelling of auth.type basic")
    require_auth: bool = False
    headers: dict[str, Template] = Field(default_factory=dict)
    compression: bool | Literal["gzip", "none"] = False
    format: Literal["json", "ndjson", "envelope"] = "json"
    tls: Tls | None = None
    max_batch_bytes: Count = 1_000_000
    success_status: list[Status] = Field(default_factory=lambda: [200, 201, 202, 204])

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)
