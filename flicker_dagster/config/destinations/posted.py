"""Keys of destinations to which events are posted, compressed or not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.records import Template, Tls

#: Below it there would be no room for an event beside what stands around it.
SMALLEST_BODY_BYTES = 4_096


class PostedRecord(DestinationRecord):
    compression: Literal["gzip", "none"] = Field(default="gzip", description="how a request's body is compressed")
    headers: dict[str, Template] = Field(
        default_factory=dict, description="more request headers, such as a gateway in between wants; templates"
    )
    tls: Tls | None = Field(default=None, description="client certificate and CA")
