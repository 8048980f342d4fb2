"""The live sensor of one source, ticked by hand against an ephemeral instance; its runs are executed in process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.sensor import tick
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.orchestration.built import job_of


class Tail:
    """`cursor` is what Dagster has stored for the sensor."""

    def __init__(self, scene: Scene, instance: dg.DagsterInstance) -> None:
        self.scene, self.instance = scene, instance
        self.job = job_of(scene)
        self.cursor: str | None = None

    def look(self) -> dg.SensorResult:
        """One tick, whose cursor is kept as Dagster keeps it."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, sensor_name="plain_live")
        with self.scene.work() as work:
            result = tick(context, work)
        self.cursor = result.cursor or self.cursor
        return result

    def asked(self) -> dg.RunRequest:
        result = self.look()
        assert result.run_requests, result.skip_reason
        return result.run_requests[0]

    def skipped(self) -> str:
        result = self.look()
        assert not result.run_requests
        assert result.skip_reason is not None
        return result.skip_reason.skip_message or ""

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute what a tick asked for; the clock goes on to where the run has ended."""
        done = self.job.execute_in_process(
            instance=self.instance, run_config=request.run_config, tags=request.tags, raise_on_error=False
        )
        self.scene.clock.now_s = max(self.scene.clock.now_s, self.ended_s())
        return done

    def recorded(self, status: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
        """A run that Dagster remembers, without executing anything. Tags are written `flicker__error` and so on."""
        extra = {name.replace("__", "/"): value for name, value in tags.items()}
        ours = names.run_tags(self.scene.source.full_name, self.scene.work().state_id, names.LIVE)
        return self.instance.create_run_for_job(job_def=self.job, status=status, tags=ours | extra)

    def ended_s(self) -> float:
        """When the newest run ended, by Dagster's clock."""
        record = self.instance.get_run_records(limit=1)[0]
        return record.end_time or record.update_timestamp.timestamp()


@contextmanager
def a_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **source: Any) -> Iterator[Tail]:
    with plain_scene(tmp_path, **source) as scene, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())
        yield Tail(scene, instance)
