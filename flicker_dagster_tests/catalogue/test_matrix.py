"""Every preset against its dialect, in every row: `docs/vendors/README.md` shows what is run here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.vendors import presets
from flicker_dagster.simulator.dialects import dialect, dialect_names
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.catalogue.rows import ROWS
from flicker_dagster_tests.catalogue.scenes import scene_of

SKEWS_S = {"clock +1 h": 3600.0, "clock -1 h": -3600.0}

#: Salesforce's log files are there as soon as their hour is over, and not hours later.
OPTIONS: dict[str, dict[str, Any]] = {"salesforce": {"file_delay_s": 0}}


def cells() -> list[tuple[str, str, str]]:
    """Vendor, stream and row: the first stream of a vendor in every row, its others in those that differ by listing."""
    found: list[tuple[str, str, str]] = []
    for name, preset in presets().items():
        if not preset.params:
            continue
        streams = list(preset.streams) or [""]
        for place, stream in enumerate(streams):
            keys = preset.source | (preset.streams[stream].source if stream else {})
            traits = dialect(name).traits | ({"objects"} if "each" in keys else set())
            traits |= {"streams"} if len(streams) > 1 else set()
            for row, (_, trait) in ROWS.items():
                wanted = place == 0 or row in ("plain", "ties", "sweep", "kill", "objects once")
                if wanted and (trait is None or trait in traits):
                    found.append((name, stream, row))
    return found


@pytest.fixture(scope="module")
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize(("vendor", "stream", "row"), cells())
def test_each_event_arrives_once(tmp_path: Path, siem: Receiver, vendor: str, stream: str, row: str) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, stream, skew_s=SKEWS_S.get(row, 0.0), options=OPTIONS.get(vendor)) as scene:
        ROWS[row][0](scene)


def test_every_preset_has_a_dialect() -> None:
    assert set(presets()) <= set(dialect_names())
