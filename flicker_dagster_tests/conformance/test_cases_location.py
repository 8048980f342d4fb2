"""Field reports: Flicker beside others on one Dagster instance, and state whose source is called otherwise now."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import urllib3
from click.testing import CliRunner
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.api import execute_run
from dagster._core.execution.job_execution_result import JobExecutionResult
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from flicker_dagster.cli.main import cli
from flicker_dagster.config.load import load_config
from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.checks import last_finding
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.history import recent_runs
from flicker_dagster.orchestration.maintenance import maintain, ours_of
from flicker_dagster.orchestration.recorded import Recorded
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import due_windows, recent_looks, verified_keys
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.conformance.rows import cases, row

cases(
    {
        "two_locations_one_name": "another location's source of one name: its cursor is taken for an edit, its windows "
        "count as verified",
        "definitions_merge": "definitions that bring an executor and names of their own merge with nobody's",
        "maintenance_leaves_others": "maintenance takes every row whose run is gone for its own and removes it",
        "source_renamed": "a source is renamed while events wait: status and poll say that all is well",
    }
)


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
        return [window.key for window in due_windows(instance, self.source, self.work)]

    def maintain(self, instance: dg.DagsterInstance, *, in_days: float) -> dict[str, int]:
        run = dg.DagsterRun(job_name=names.MAINTENANCE)
        ours = ours_of(self.config, self.settings, names.MAINTENANCE, run)
        return maintain(instance, self.config, [self.work], ours, now_s=time.time() + in_days * 86_400)


# -- two locations


@row("case-two_locations_one_name", behaviour="runs, windows, findings and cursors are looked up by whose they are")
def test_what_another_location_verified_is_still_to_be_verified_here(
    tmp_path: Path, instance: dg.DagsterInstance, vendor: Plain, siem: Receiver
) -> None:
    prod, staging = (Location(tmp_path, title, vendor, siem) for title in ("prod", "staging"))
    due = prod.due(instance)
    assert staging.sweep(instance, due[0]).success
    assert prod.due(instance) == due
    assert staging.due(instance) == due[1:]
    assert recent_looks(instance, prod.source, prod.work) == []
    assert last_finding(instance, prod.work).description == "not known yet: no window has been swept yet"
    assert "1 window" in (last_finding(instance, staging.work).description or "")
    assert prod.sweep(instance, due[0]).success
    assert prod.due(instance) == due[1:]
    assert verified_keys(instance, prod.source, prod.work.state_id) == {due[0]}


def test_runs_of_another_location_are_no_news_here(
    tmp_path: Path, instance: dg.DagsterInstance, vendor: Plain, siem: Receiver
) -> None:
    prod, staging = (Location(tmp_path, title, vendor, siem) for title in ("prod", "staging"))
    tags = names.run_tags(staging.source.full_name, staging.work.state_id, names.LIVE)
    for status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED):
        instance.add_run(dg.DagsterRun(job_name="audit_job", status=status, tags=tags))
    assert recent_runs(instance, prod.work, names.LIVE) == []
    assert len(recent_runs(instance, staging.work, names.LIVE)) == 2
    pools = {names.pool_name(location.source.full_name, location.settings.place()) for location in (prod, staging)}
    assert len(pools) == 2


def test_a_sensors_stored_cursor_is_that_of_its_own_location(instance: dg.DagsterInstance) -> None:
    """Rows of other locations, and of this one before it was renamed, stay in the table."""

    def state(location: str, cursor: str, repository: str = "__repository__") -> None:
        code = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file="x.py"), location_name=location)
        origin = RemoteRepositoryOrigin(code, repository).get_instigator_origin("audit_live")
        data = SensorInstigatorData(cursor=cursor)
        instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data))

    def stored(location: str, repository: str = "__repository__") -> str | None:
        code = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file="x.py"), location_name=location)
        context = dg.SensorEvaluationContext(
            None, instance=instance, sensor_name="audit_live", repository_name=repository, code_location_origin=code
        )  # fmt: skip
        return internals.stored_cursor(context)

    state("old", "stale")
    state("staging", "theirs")
    state("prod", "other repository's", repository="other")
    assert stored("prod") is None
    state("prod", "ours")
    assert (stored("prod"), stored("staging"), stored("new")) == ("ours", "theirs", None)


def test_a_state_keeps_its_name_when_it_is_moved(tmp_path: Path, vendor: Plain, siem: Receiver) -> None:
    prod = Location(tmp_path, "prod", vendor, siem)
    before = prod.settings.layout().state_id()
    Path(prod.settings.state_dir).rename(tmp_path / "moved")
    assert Settings(state_dir=str(tmp_path / "moved")).layout().state_id() == before
    assert prod.settings.layout().state_id() != before


# -- merging


@dg.asset
def theirs() -> None: ...


@row(
    "case-definitions_merge",
    behaviour="executors stand on our jobs, no resource's name is taken, a namespace prefixes all",
)
@pytest.mark.parametrize(
    "second", [{"source": "other"}, {"top": "namespace: second"}], ids=["other names", "namespace"]
)
@pytest.mark.parametrize("executor", [None, dg.multiprocess_executor], ids=["default executor", "executor of theirs"])
def test_two_configurations_merge_with_a_teams_own_definitions(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    vendor: Plain,
    siem: Receiver,
    second: dict[str, str],
    executor: dg.ExecutorDefinition | None,
) -> None:
    team = dg.Definitions(assets=[theirs], executor=executor)
    a, b = Location(tmp_path, "a", vendor, siem), Location(tmp_path, "b", vendor, siem, **second)
    merged = dg.Definitions.merge(team, a.definitions, b.definitions)
    dg.Definitions.validate_loadable(merged)
    own = merged.get_repository_def().get_implicit_global_asset_job_def().executor_def.name
    assert own == ("multiprocess" if executor else "multi_or_in_process_executor")
    for location in (a, b):
        job = merged.resolve_job_def(names.job_name(location.source.full_name))
        assert job.executor_def.name == "in_process"
        assert job.execute_in_process(instance=instance).success
        name = names.maintenance_name(
            location.config.namespace, location.settings.config_path, configured_by_env="config.yaml"
        )
        assert merged.resolve_job_def(name).execute_in_process(instance=instance).success


def test_a_namespace_is_in_every_name(tmp_path: Path, vendor: Plain, siem: Receiver) -> None:
    location = Location(tmp_path, "prod", vendor, siem, top="namespace: prod")
    repository = location.definitions.get_repository_def()
    instigators = [*repository.sensor_defs, *repository.schedule_defs]
    found = {each.name for each in [*instigators, *repository.get_all_jobs()]} - {"__ASSET_JOB"}
    assert found == {
        "prod__audit_live", "prod__audit_sweep", "prod__audit_job", "prod__flicker_maintenance",
        "prod__flicker_maintenance_daily",
    }  # fmt: skip
    [spec] = location.definitions.resolve_all_asset_specs()
    assert (spec.key, spec.group_name) == (dg.AssetKey(["prod", "audit"]), "prod__audit_logs")
    assert names.source_tags(location.source.full_name) == {"flicker/source": "prod/audit"}


def test_definitions_need_no_settings(
    tmp_path: Path, vendor: Plain, siem: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Location(tmp_path, "prod", vendor, siem).config
    dg.Definitions.validate_loadable(build_definitions(config))


# -- maintenance


@row("case-maintenance_leaves_others", behaviour="it removes rows and files that bear its own mark, and no others")
def test_maintenance_removes_nothing_of_anybody_elses(
    tmp_path: Path, instance: dg.DagsterInstance, vendor: Plain, siem: Receiver
) -> None:
    prod, staging = (Location(tmp_path, title, vendor, siem) for title in ("prod", "staging"))
    key = prod.due(instance)[0]
    runs = [dg.materialize([theirs], instance=instance).run_id for _ in range(3)]
    for run_id in runs[:2]:
        instance.run_storage.delete_run(run_id)  # deleted by them: what it recorded stays
    theirs_live = [staging.run(instance).run_id for _ in range(2)]
    theirs_swept = staging.sweep(instance, key).run_id
    ours = [prod.sweep(instance, key).run_id for _ in range(2)]
    by_hand = prod.run(instance).run_id  # from the UI: no tag of ours until it starts
    prod.maintain(instance, in_days=40)
    left = {run.run_id for run in instance.get_runs()}
    assert {runs[2], *theirs_live, theirs_swept} <= left
    assert not {ours[0], by_hand} & left
    assert len(instance.fetch_materializations(dg.AssetKey("theirs"), limit=10).records) == 3
    staged = instance.fetch_materializations(dg.AssetKey("audit"), limit=99).records
    of_theirs = [record for record in staged if record.run_id in {*theirs_live, theirs_swept}]
    assert len(of_theirs) == 3
    for location in (prod, staging):
        assert verified_keys(instance, location.source, location.work.state_id) == {key}
        assert "1 window" in (last_finding(instance, location.work).description or "")


def test_files_of_a_run_that_is_gone_are_removed_only_where_they_bear_our_mark(
    tmp_path: Path, instance: dg.DagsterInstance, vendor: Plain, siem: Receiver
) -> None:
    prod, staging = (Location(tmp_path, title, vendor, siem) for title in ("prod", "staging"))
    ran = {
        "ours": prod.run(instance),
        "theirs": staging.run(instance),
        "a team's": dg.materialize([theirs], instance=instance),
    }
    logs = {}
    for title, run in ran.items():
        logs[title] = tmp_path / "history" / "runs" / f"{run.run_id}.db"
        instance.delete_run(run.run_id)
        os.utime(logs[title], (1_000, 1_000))
    prod.maintain(instance, in_days=0)
    assert {title for title, log in logs.items() if log.exists()} == {"theirs", "a team's"}


def test_a_configuration_on_the_same_state_keeps_its_runs(
    tmp_path: Path, instance: dg.DagsterInstance, vendor: Plain, siem: Receiver
) -> None:
    prod, other = Location(tmp_path, "prod", vendor, siem), Location(tmp_path, "other", vendor, siem, source="other")
    other.settings = Settings(config_path=other.settings.config_path, state_dir=prod.settings.state_dir)
    tags = {names.STATE_TAG: prod.work.state_id}
    kept = dg.DagsterRun(
        job_name="other_job", status=dg.DagsterRunStatus.SUCCESS, tags=tags | {names.SOURCE_TAG: "other"}
    )
    removed = dg.DagsterRun(
        job_name="renamed_job", status=dg.DagsterRunStatus.SUCCESS, tags=tags | {names.SOURCE_TAG: "renamed"}
    )
    for run in (kept, removed):
        instance.add_run(run)
    ours_of(other.config, other.settings, "any", kept)  # its own maintenance writes down what it collects
    prod.maintain(instance, in_days=40)
    assert [run.run_id for run in instance.get_runs()] == [kept.run_id]
    assert Recorded(instance, prod.work.state_id).runs() == set()


# -- a source is called otherwise now


@row(
    "case-source_renamed",
    behaviour="what waits is named at the start, by status and --validate; renamed_from takes it along",
)
def test_what_waits_under_a_former_name_is_named_and_taken_along(tmp_path: Path, vendor: Plain, siem: Receiver) -> None:
    vendor.emitter.emit(5)
    home = tmp_path / "work"

    def flicker(*arguments: str, **source: object) -> str:
        entry = {
            "name": "okta-logs", "endpoint": f"{vendor.url}/events", "polling_frequency_ms": 5000,
            "results_field": "data.events", "id_field": "id", "timestamp_field": "time", "time_filter_param": "since",
            "pagination": {"pagination_type": "none"}, "start_from": "1h", "retry": {"max_retries": 0},
            "destination": {"type": "http", "endpoint": f"{siem.url}/siem"},
        }  # fmt: skip
        (tmp_path / "config.yaml").write_text(json.dumps({"api_sources": [entry | source]}))
        given = ["-c", str(tmp_path / "config.yaml"), "--work-dir", str(home), *arguments]
        return CliRunner().invoke(cli, given, env={"COLUMNS": "250"}).output

    flicker("--track", "--once", destination={"type": "http", "endpoint": "http://127.0.0.1:9/siem"})
    for arguments in (["status"], ["--validate"]):
        said = flicker(*arguments, name="okta-system-log", start_from="now")
        assert "okta-logs: no longer configured, and its state is kept: 5 events that wait for the SIEM" in said
    flicker("--track", "--once", name="okta-system-log", start_from="now")
    flicker("--track", "--once", name="okta-system-log", start_from="now", renamed_from="okta-logs")
    assert sorted(siem.ids("/siem").values()) == [1] * 5
    assert "okta-logs" not in flicker("status", name="okta-system-log", renamed_from="okta-logs")


# -- nothing process-wide


def test_log_lines_of_others_that_use_urllib3_in_this_process_stay_theirs(
    tmp_path: Path, instance: dg.DagsterInstance, vendor: Plain, siem: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="urllib3")
    assert Location(tmp_path, "prod", vendor, siem).run(instance).success
    assert not [
        record for record in caplog.records if "/events" in record.getMessage() or "/siem" in record.getMessage()
    ]
    urllib3.PoolManager().request("GET", f"{siem.url}/theirs")
    assert "/theirs" in caplog.text
