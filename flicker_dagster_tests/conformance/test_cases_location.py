"""Field reports: Flicker beside others on one Dagster instance."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest
import urllib3
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.checks import last_finding
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.history import recent_runs
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import recent_looks, verified_keys
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.conformance.location import Location, theirs
from flicker_dagster_tests.conformance.rows import cases, row

cases(
    {
        "two_locations_one_name": "another location's source of one name: its cursor is taken for an edit, its windows "
        "count as verified",
        "definitions_merge": "definitions that bring an executor and names of their own merge with nobody's",
    }
)


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
    assert recent_looks(instance, prod.work) == []
    assert last_finding(instance, prod.work).description == "not known yet: no window has been swept yet"
    assert "1 window" in (last_finding(instance, staging.work).description or "")
    assert prod.sweep(instance, due[0]).success
    assert prod.due(instance) == due[1:]
    assert verified_keys(instance, prod.work) == {due[0]}


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
