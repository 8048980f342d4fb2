"""Small named builders of the records tests need."""

from __future__ import annotations

from typing import Any

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.models import SourceConfig


def a_source(**changes: Any) -> SourceConfig:
    """A generic, ascending, cursor-paged source."""
    fields: dict[str, Any] = {
        "name": "test-source",
        "endpoint": "http://127.0.0.1:1/events",
        "polling_frequency_ms": 30_000,
        "timestamp_field": "time",
        "id_field": "id",
        "destination": HttpDestination(type="http", endpoint="http://127.0.0.1:1/siem"),
    }
    return SourceConfig(**fields | changes)
