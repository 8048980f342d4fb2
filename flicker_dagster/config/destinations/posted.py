"""Keys of destinations to which events are posted, compressed or not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.records import Tls


class PostedRecord(DestinationRecord):
    compression: Literal["gzip", "none"] = Field(default="gzip", description="how a request's body is compressed")
    tls: Tls | None = Field(default=None, description="client certificate and CA, see below")
