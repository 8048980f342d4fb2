"""Small named builders of the records tests need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flicker_dagster.collect.answer_errors import Mask
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.filters import EventFilter
from flicker_dagster.collect.paging import paths_of
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import Preset, presets


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


def know(patch: pytest.MonkeyPatch, preset: Preset) -> None:
    """Let there be one preset more."""
    file = SimpleNamespace(read_bytes=lambda: b"", read_text=lambda **_: "")
    patch.setitem(presets()._files, preset.vendor, file)  # type: ignore[arg-type]
    patch.setitem(presets()._read, preset.vendor, preset)


def a_filter(**conditions: Any) -> EventFilter:
    """What `match_on` and `exclude_on` keep."""
    source = a_source(**conditions)
    return EventFilter(source.match_on, source.exclude_on, source=source.name)


def a_decoder(source: SourceConfig, *, mask: Mask = str) -> PageDecoder:
    """Of a source's answers, with what its paging rests on."""
    return PageDecoder(source.listing.rows, paths_of(source.listing.paging), mask=mask)
