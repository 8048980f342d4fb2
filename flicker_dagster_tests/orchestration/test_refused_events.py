"""What the SIEM refuses, as Dagster shows it: dead letters are counted; a closed door costs no event and fails the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.orchestration.built import job_of


class Runs:
    """The source's own job, executed in this process."""

    def __init__(self, scene: Scene, instance: dg.DagsterInstance) -> None:
        self.scene, self.instance = scene, instance
        self.job = job_of(scene)

    def run(self, **options: Any) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(instance=self.instance, raise_on_error=False, **options)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    clock = Clock()
    once = RetryConfig(max_retries=0)
    with (
        plain_scene(tmp_path, clock=clock, start_from="3h", retry=once) as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())
        yield Runs(scene, instance)


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def delivered_check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return next(e for e in result.get_asset_check_evaluations() if e.check_name == names.CHECK_DELIVERED)


def errors_of(runs: Runs, result: dg.ExecuteInProcessResult) -> str:
    logs = runs.instance.all_logs(result.run_id)
    found = [
        e.dagster_event.step_failure_data.error for e in logs if e.dagster_event and e.dagster_event.is_step_failure
    ]
    return "\n".join(error.to_string() for error in found if error is not None)


def test_dead_letters_are_counted_in_the_metadata_and_the_delivered_check(runs: Runs) -> None:
    poisoned, *_ = runs.scene.emit(20)
    runs.scene.siem.poison = poisoned
    result = runs.run()
    assert result.success
    assert metadata_of(result)["events dead-lettered"] == 1
    assert metadata_of(result)["events delivered"] == 19
    check = delivered_check(result)
    assert not check.passed
    assert check.metadata["dead letters"].value == 1
    assert "flicker dead-letters list" in (check.description or "")
    runs.scene.assert_each_once(but=1)
    again = runs.run()
    assert not delivered_check(again).passed
    assert metadata_of(again)["events dead-lettered"] == 0
    with runs.scene.work() as work:
        for letter_id in work.lanes[0].dead_letters.list():
            work.lanes[0].dead_letters.drop(letter_id)
    assert delivered_check(runs.run()).passed


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_a_closed_door_never_makes_dead_letters_and_the_run_fails_with_what_to_fix(runs: Runs, status: str) -> None:
    scene = runs.scene
    scene.emit(20)
    scene.siem.faults.plan(status, count=None)
    result = runs.run()
    assert not result.success
    error = errors_of(runs, result)
    assert f"HTTP {status}" in error
    assert "fix the destination's credentials, permission or address" in error
    with scene.work() as work:
        assert work.lanes[0].dead_letters.list() == []
        assert waiting_events(work) == 20
    assert scene.received() == {}
    scene.siem.faults.clear()
    assert runs.run().success
    scene.assert_each_once()


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_a_door_that_closes_while_a_batch_is_bisected_makes_no_dead_letters(runs: Runs, status: str) -> None:
    scene = runs.scene
    poisoned, *_ = scene.emit(20)
    scene.siem.poison = poisoned
    scene.siem.faults.plan(status, count=None, after=2)
    assert not runs.run().success
    with scene.work() as work:
        assert work.lanes[0].dead_letters.list() == []
        # Two threads send the halves: the one without the poison may pass before the door closes.
        assert waiting_events(work) + len(scene.received()) == 20
    scene.siem.faults.clear()
    assert runs.run().success
    with scene.work() as work:
        assert work.lanes[0].dead_letters.count() == 1
    assert scene.received().keys() >= {event.id for event in scene.vendor.emitter.emitted()} - {poisoned}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"tags": {names.REDELIVER_TAG: "true"}}, id="by the run's tag"),
        pytest.param(
            {"run_config": {"ops": {"plain": {"ops": {"fetch": {"config": {"redeliver": True}}}}}}},
            id="by the run's configuration",
        ),
    ],
)
def test_a_backfill_delivers_what_is_missing_and_with_redeliver_all_of_it(runs: Runs, how: dict[str, Any]) -> None:
    scene = runs.scene
    window = window_at(scene.source.window, scene.clock.now_ms - 2 * HOUR_MS)
    inside = scene.emit(5, seconds_ago=(scene.clock.now_ms - window.start_ms) / 1000 - 60)
    outside = scene.emit(3)
    assert runs.run().success
    assert set(scene.received().values()) == {1}
    assert runs.run(partition_key=window.key).success
    assert set(scene.received().values()) == {1}
    again = runs.run(partition_key=window.key, **how)
    assert again.success
    assert metadata_of(again)["events new"] == 5
    assert {scene.received()[event_id] for event_id in inside} == {2}
    assert {scene.received()[event_id] for event_id in outside} == {1}
