"""What several files of field reports rest on: an instance, a vendor and a SIEM to share, and scenes of scripted vendors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.conformance.harness import Clock, Scene
from flicker_dagster_tests.conformance.scripted import Answer, Scripted


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def vendor() -> Iterator[Plain]:
    vendor = Plain(per_minute=10**6)
    yield vendor
    vendor.close()


@pytest.fixture
def siem() -> Iterator[Receiver]:
    siem = Receiver()
    yield siem
    siem.close()


@pytest.fixture
def open_scene(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Opens scenes whose vendor answers as the test says."""
    opened: list[Scene] = []

    def open_scene(answer: Answer, clock: Clock, **source: Any) -> Scene:
        vendor, siem = Scripted(clock, answer), Receiver(clock=clock)
        fields: dict[str, Any] = {
            "name": "audit",
            "endpoint": f"{vendor.url}/logs",
            "polling_frequency_ms": 5_000,
            "id_field": "id",
            "timestamp_field": "time",
            "retry": RetryConfig(max_retries=0),
            "destination": HttpDestination(type="http", endpoint=f"{siem.url}/siem"),
        }
        scene = Scene(vendor, siem, SourceConfig(**fields | source), tmp_path, clock)
        opened.append(scene)
        return scene

    yield open_scene
    for scene in opened:
        scene.close()
