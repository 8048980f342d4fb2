"""Small named builders of the records tests need."""

from __future__ import annotations

from typing import Any

from flicker_dagster.collect.answer_errors import Mask
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.paging import paths_of
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


def a_decoder(source: SourceConfig, *, mask: Mask = str) -> PageDecoder:
    """Of a source's answers, with what its paging rests on."""
    return PageDecoder(source.listing.rows, paths_of(source.listing.paging), mask=mask)
