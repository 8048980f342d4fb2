"""A backfill tells in its log and metadata what it takes of the vendor's quota; live runs and sweeps do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster_tests.conformance.harness import Clock, plain_scene
from flicker_dagster_tests.orchestration.test_refused_events import Runs


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    with (
        plain_scene(tmp_path, clock=Clock(), start_from="5h") as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())
        yield Runs(scene, instance)


def forecast_of(result: dg.ExecuteInProcessResult) -> str | None:
    """What the metadata of `fetch` says."""
    for event in result.all_events:
        if event.is_successful_output and str(event.node_handle).endswith("fetch"):
            said = event.step_output_data.metadata.get("forecast")
            return None if said is None else str(said.value)
    raise AssertionError("fetch did not end")


def test_a_backfill_says_what_it_takes_and_the_next_by_what_it_took(runs: Runs) -> None:
    key = window_at(runs.scene.source.window, runs.scene.clock.now_ms - 3 * HOUR_MS).key
    first = forecast_of(runs.run(partition_key=key))
    assert first is not None
    assert first.startswith("1 request, about 1 s; the vendor's quota is not known (at least")
    second = forecast_of(runs.run(partition_key=key))
    assert second is not None
    assert "as the last window that was read" in second


@pytest.mark.parametrize("how", ["live", "sweep"])
def test_what_runs_by_itself_says_nothing(runs: Runs, how: str) -> None:
    options: dict[str, Any] = {}
    if how == "sweep":
        key = window_at(runs.scene.source.window, runs.scene.clock.now_ms - 3 * HOUR_MS).key
        options = {"partition_key": key, "tags": {names.MODE_TAG: names.SWEEP}}
    assert forecast_of(runs.run(**options)) is None
