"""A configuration in a Dagster instance that it may share with others."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.execution.job_execution_result import JobExecutionResult

from flicker_dagster.config.load import load_config
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.maintenance import maintain, ours_of
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import due_windows
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver


class Location:
    """A configuration with one source, its settings, its definitions."""

    def __init__(
        self, home: Path, title: str, vendor: Plain, siem: Receiver, *, source: str = "audit", top: str = ""
    ) -> None:
        text = f"""{top}
api_sources:
  - name: {source}
    endpoint: {vendor.url}/events
    polling_frequency_ms: 5000
    results_field: data.events
    id_field: id
    timestamp_field: time
    time_filter_param: since
    pagination: {{pagination_type: none}}
    start_from: 5h
    retry: {{max_retries: 0}}
    destination: {{type: http, endpoint: {siem.url}/siem}}
"""
        path = home / f"{title}.yaml"
        path.write_text(text)
        self.config = load_config(str(path))
        work = str(home / f"work_{title}")
        self.settings = Settings(config_path=str(path), state_dir=work, work_dir=work)
        self.definitions = build_definitions(self.config, self.settings)
        self.source = self.config.sources[0]
        self.work = self.settings.work(self.source)
        starting_position(self.work)

    def run(self, instance: dg.DagsterInstance, **how: object) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(names.job_name(self.source.full_name))
        return job.execute_in_process(instance=instance, raise_on_error=False, **how)  # type: ignore[arg-type]

    def deliver_again(self, instance: dg.DagsterInstance, run_id: str) -> JobExecutionResult:
        """What a retry from the failure does: the step `deliver` alone, in a run whose parent has fetched."""
        job = self.definitions.resolve_job_def(names.job_name(self.source.full_name))
        deliver = job.get_subset(op_selection=[f"{names.graph_name(self.source.full_name)}.deliver"])
        run = instance.create_run_for_job(deliver, parent_run_id=run_id, root_run_id=run_id)
        return execute_run(InMemoryJob(deliver), run, instance)

    def sweep(self, instance: dg.DagsterInstance, key: str) -> dg.ExecuteInProcessResult:
        tags = names.run_tags(self.source.full_name, self.work.state_id, names.SWEEP)
        return self.run(instance, partition_key=key, tags=tags)

    def due(self, instance: dg.DagsterInstance) -> list[str]:
        return [window.key for window in due_windows(instance, self.work)]

    def maintain(self, instance: dg.DagsterInstance, *, in_days: float) -> dict[str, int]:
        run = dg.DagsterRun(job_name=names.MAINTENANCE)
        ours = ours_of(self.config, self.settings, names.MAINTENANCE, run)
        return maintain(instance, self.config, [self.work], ours, now_s=time.time() + in_days * 86_400)


@dg.asset
def theirs() -> None: ...
