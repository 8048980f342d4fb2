"""`deliver` sends what its own run's fetch wrote: elsewhere it refuses in words, and here no way of running is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.errors import StateError
from flicker_dagster.orchestration.ops import _refuse_another_spool
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.orchestration.test_refused_events import Runs, errors_of


class Machines(Runs):
    """Runs of one source, of which each step comes to the machine that `plan` names next, to the first one behind its end."""

    def __init__(self, scene: Scene, instance: dg.DagsterInstance) -> None:
        super().__init__(scene, instance)
        self.plan: list[str] = []

    def work(self) -> SourceWork:
        machine = self.plan.pop(0) if self.plan else "work"
        layout = dataclasses.replace(self.scene.layout, work_dir=self.scene.directory / machine)
        return SourceWork(self.scene.source, layout, clock=self.scene.clock)


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    retry = RetryConfig(max_retries=1, initial_delay_ms=1, max_delay_ms=1)
    with (
        plain_scene(tmp_path, clock=Clock(), start_from="3h", retry=retry) as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        found = Machines(scene, instance)
        monkeypatch.setattr(Settings, "work", lambda _self, _source: found.work())
        yield found


def test_a_delivery_on_another_machine_fails_in_words_and_the_next_run_sends_everything(machines: Machines) -> None:
    machines.plan = ["elsewhere", "elsewhere"]
    assert machines.run().success  # it has run before, so its own last unit is finished
    machines.scene.clock.now_s += 60
    machines.scene.emit(3)
    machines.plan = ["work", "elsewhere", "elsewhere"]
    failed = machines.run()
    assert not failed.success
    assert "is not the one that this run's fetch wrote" in errors_of(machines, failed)
    assert machines.scene.received() == {}
    machines.scene.clock.now_s += 60
    assert machines.run().success
    machines.scene.assert_each_once()


def test_a_step_that_is_tried_again_goes_on(machines: Machines) -> None:
    assert machines.run().success
    machines.scene.clock.now_s += 60
    machines.scene.emit(3)
    machines.scene.siem.faults.plan("503", count=1)
    done = machines.run()
    assert done.success
    assert machines.scene.siem.faults.take() is None
    machines.scene.assert_each_once()


@pytest.mark.parametrize("tags", [{}, {"dagster/backfill": "b1"}], ids=["by hand", "backfill"])
def test_windows_are_delivered_by_whoever_runs_them(machines: Machines, tags: dict[str, str]) -> None:
    scene = machines.scene
    window = window_at(scene.source.window, scene.clock.now_ms - 2 * HOUR_MS)
    scene.emit(5, seconds_ago=(scene.clock.now_ms - window.start_ms) / 1000 - 60)
    assert machines.run(partition_key=window.key, tags=tags).success
    scene.assert_each_once()


def _context(**run: Any) -> Any:
    return SimpleNamespace(run=SimpleNamespace(**{"run_id": "new", "parent_run_id": None, "root_run_id": None, **run}))


def test_a_run_from_failure_finds_what_its_parent_or_the_first_of_them_wrote(machines: Machines) -> None:
    with machines.work() as work, work.exclusive():
        work.spool.note_run("first")
        for run in (
            {"run_id": "first"},
            {"parent_run_id": "first"},
            {"parent_run_id": "other", "root_run_id": "first"},
        ):
            _refuse_another_spool(_context(**run), work)
        with pytest.raises(StateError, match=r"Nothing was lost: run it again from fetch on"):
            _refuse_another_spool(_context(parent_run_id="other"), work)
