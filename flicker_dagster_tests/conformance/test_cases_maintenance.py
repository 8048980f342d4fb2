"""Field reports: what maintenance removes, and what becomes of state whose source is called otherwise now."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.checks import last_finding
from flicker_dagster.orchestration.maintenance import ours_of
from flicker_dagster.orchestration.recorded import Recorded
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import verified_keys
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.conformance.location import Location, theirs
from flicker_dagster_tests.conformance.rows import cases, row

cases(
    {
        "maintenance_leaves_others": "maintenance takes every row whose run is gone for its own and removes it",
        "source_renamed": "a source is renamed while events wait: status and poll say that all is well",
    }
)

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
        assert verified_keys(instance, location.work) == {key}
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
