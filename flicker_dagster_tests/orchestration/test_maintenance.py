"""Maintenance removes what is old, never what is green or at work; a month of it leaves the disk as large as a week."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest

from flicker_dagster.config.load import load_config
from flicker_dagster.errors import StateError
from flicker_dagster.orchestration import maintenance, names
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.maintenance import ABANDONED_S, remove_copies, remove_untracked
from flicker_dagster.orchestration.run_retention import Ours
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import due_windows
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.layout import StateLayout
from flicker_dagster_tests.orchestration.month import DAYS, Month

pytestmark = pytest.mark.timeout(600)

#: Once run retention (7 d), the failed one (9 d) and the ledger's (8 d) have all begun to remove.
STEADY_DAY = 12

#: What a kept window may cost in the index: a row of its materialisation, with its share of indexes.
WINDOW_BYTES = 4096


@pytest.mark.parametrize(("window", "windows_a_day"), [("day", 1), ("hour", 24)])
def test_a_month_of_polling_stays_bounded_and_green(
    tmp_path: Path, window: Literal["day", "hour"], windows_a_day: int
) -> None:
    month = Month(tmp_path, window=window)
    days = [month.pass_day() for _ in range(DAYS)]
    steady, last = days[STEADY_DAY - 1], days[-1]
    assert days[4].run_files > 2 * days[1].run_files, "runs leave no files: this test proves nothing"
    kept_windows = (last.number - steady.number) * windows_a_day
    assert last.total <= 1.05 * steady.total + kept_windows * WINDOW_BYTES
    assert last.run_files <= 1.05 * steady.run_files
    assert last.ticks_db <= 1.05 * steady.ticks_db
    assert last.runs_db <= 1.05 * steady.runs_db
    assert last.state <= 1.05 * steady.state

    assert len(month.swept) >= DAYS * windows_a_day
    assert month.instance.get_materialized_partitions(month.asset) == set(month.swept)
    wanted = dg.AssetRecordsFilter(asset_key=month.asset, asset_partitions=month.swept)
    records = month.instance.fetch_materializations(wanted, limit=10_000).records
    seen = {r.partition_key: r.asset_materialization for r in records if r.asset_materialization is not None}
    assert set(seen) == set(month.swept)
    assert all(names.VERIFIED_KEY in made.metadata for made in seen.values())
    with month.work() as work:
        assert due_windows(month.instance, work) == []
    assert month.instance.get_latest_materialization_event(month.asset) is not None


def test_a_run_at_work_and_one_of_another_code_location_are_left_alone(tmp_path: Path) -> None:
    month = Month(tmp_path, window="day")
    instance = month.instance
    at_work = dg.DagsterRun(job_name="plain_job", status=dg.DagsterRunStatus.STARTED)
    foreign = dg.DagsterRun(job_name="theirs", status=dg.DagsterRunStatus.SUCCESS)
    ours = dg.DagsterRun(job_name="plain_job", status=dg.DagsterRunStatus.SUCCESS)
    for run in (at_work, foreign, ours):
        instance.add_run(run)
    for _ in range(9):
        month.now_s += 30 * 86_400
    month.pass_day()
    left = {run.run_id for run in instance.get_runs()}
    assert {at_work.run_id, foreign.run_id} <= left
    assert ours.run_id not in left


def test_the_folder_of_a_killed_start_without_track_goes_and_a_living_one_stays(tmp_path: Path) -> None:
    for name in ("untracked-dead", "untracked-alive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "runs.db").write_text("rows")
    for path in (tmp_path / "untracked-dead", tmp_path / "untracked-alive", tmp_path / "untracked-dead" / "runs.db"):
        os.utime(path, (1_000, 1_000))
    assert remove_untracked(tmp_path, before_s=1_000_000 + ABANDONED_S) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["untracked-alive"]


def test_copies_of_a_remote_ledger_go_when_nobody_has_written_them_for_long(tmp_path: Path) -> None:
    copies = StateLayout.of("s3://logs/flicker.json", "unused", tmp_path).ledger_copies
    copies.mkdir(parents=True)
    for name, written_s in (("old", 1_000), ("fresh", 2_000)):
        (copies / name).write_bytes(b"shard")
        os.utime(copies / name, (written_s, written_s))
    assert remove_copies(copies, before_s=1_500) == 5
    assert [path.name for path in copies.iterdir()] == ["fresh"]
    assert remove_copies(tmp_path / "nowhere", before_s=1_500) == 0


def test_the_job_runs_by_its_own_schedule_and_says_what_it_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = Path(__file__).parents[2] / "flicker_dagster" / "cli" / "example.yaml"
    monkeypatch.setenv("FLICKER_CONFIG", str(example))
    settings = Settings(config_path=str(example), state_dir=str(tmp_path / "s"), work_dir=str(tmp_path / "w"))
    definitions = build_definitions(load_config(str(example)), settings)
    schedule = definitions.resolve_schedule_def(f"{names.MAINTENANCE}_daily")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = definitions.resolve_job_def(names.MAINTENANCE).execute_in_process(instance=instance)
        [output] = [event for event in result.all_events if event.is_successful_output]
        assert result.success
        assert output.step_output_data.metadata["runs"].value == 0


def test_a_missed_maintenance_is_caught_up_within_the_hour_and_one_a_day_is_enough(tmp_path: Path) -> None:
    done_at = datetime.now(tz=timezone.utc)  # the database has its own clock
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert isinstance(maintenance.tick(instance, names.MAINTENANCE, "a1b2", now=done_at), dg.RunRequest), (
            "never done"
        )
        ours = {names.STATE_TAG: "a1b2"}
        instance.add_run(dg.DagsterRun(job_name=names.MAINTENANCE, status=dg.DagsterRunStatus.SUCCESS, tags=ours))
        instance.add_run(dg.DagsterRun(job_name="other", status=dg.DagsterRunStatus.SUCCESS))
        for hours, due in ((1, False), (23, False), (24, True), (60, True)):
            asked = maintenance.tick(instance, names.MAINTENANCE, "a1b2", now=done_at + timedelta(hours=hours))
            assert isinstance(asked, dg.RunRequest) == due, hours
        instance.add_run(dg.DagsterRun(job_name=names.MAINTENANCE, status=dg.DagsterRunStatus.STARTED, tags=ours))
        later = done_at + timedelta(hours=60)
        assert isinstance(maintenance.tick(instance, names.MAINTENANCE, "a1b2", now=later), dg.SkipReason)


def test_a_broken_source_keeps_no_other_from_being_maintained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    month = Month(tmp_path, window="day")
    looked_at: list[str] = []

    def prune(_instance: object, work: SourceWork, _retention_ms: int) -> int:
        looked_at.append(work.source.name)
        if len(looked_at) == 1:
            raise StateError("its ledger is damaged")
        return 3

    monkeypatch.setattr(maintenance, "prune_ledger", prune)
    works = [month.work(), month.work()]
    with pytest.raises(dg.Failure, match="its ledger is damaged") as failed:
        maintenance.maintain(month.instance, month.config, works, month.ours, now_s=month.now_s)
    assert len(looked_at) == 2
    assert failed.value.metadata["ledger shards"].value == 3


@pytest.mark.parametrize("parts", [["google", "login"], ["google_login"]], ids=["a stream", "a source"])
def test_the_assets_of_another_configuration_on_the_same_state_are_its_own(tmp_path: Path, parts: list[str]) -> None:
    ours = Ours("state", tmp_path, jobs=frozenset(), assets=frozenset({dg.AssetKey(["prod", "okta"])}))
    assert dg.AssetKey(["theirs", *parts]) in ours.but([("theirs", "google/login")]).foreign_assets
    assert ours.but([("prod", "okta")]).foreign_assets == frozenset()
