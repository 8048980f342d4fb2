"""A look at each vendor of the catalogue shows events, reads their times, and hears status and clock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flicker_dagster.config.load import parse_config
from flicker_dagster.config.vendors import presets
from flicker_dagster.pipeline.look import look_at
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.state.layout import StateLayout


@pytest.mark.parametrize("vendor", presets())
def test_every_usual_stream_shows_events(vendor: str, tmp_path: Path) -> None:
    simulated = dialect(vendor)(history_s=7200)
    source = {
        "name": vendor,
        "vendor": vendor,
        "params": {name: value.replace("$", "$$") for name, value in simulated.params.items()},
        "connect_to": {"*": simulated.url},
        "destination": {"type": "stdout"},
    }
    layout = StateLayout.of(None, tmp_path, tmp_path)
    try:
        for each in parse_config(json.dumps({"api_sources": [source]}), path="c.yaml", env={}).sources:
            with SourceWork(each, layout) as work:
                look = look_at(work)
            assert look.error is None
            assert not look.doubt
            assert look.events
            assert look.newest_ms is not None
            assert look.status == 200
            assert look.told is not None
            assert look.told.ahead_ms == 0
    finally:
        simulated.close()
