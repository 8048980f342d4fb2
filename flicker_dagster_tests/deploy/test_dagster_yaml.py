"""The packaged `dagster.yaml` loads, and what it says is what Dagster does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.config import dagster_instance_config
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.scheduler.instigation import InstigatorType
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

from flicker_dagster.cli.supervise import prepare_home
from flicker_dagster.orchestration.launcher import WarmRunLauncher


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("dagster-home")
    prepare_home(home)
    with dg.DagsterInstance.from_config(str(home)) as loaded:
        yield loaded


def test_runs_are_forked_by_the_warm_launcher(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, WarmRunLauncher)


def test_one_run_at_a_time_per_source_by_its_pool(instance: dg.DagsterInstance) -> None:
    config = instance.get_concurrency_config()
    assert config.run_queue_config is not None
    assert not config.run_queue_config.tag_concurrency_limits, "a tag's value is no location's own"
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity is not None
    assert config.pool_config.pool_granularity.value == "run"


def test_queued_runs_start_within_half_a_second_and_several_at_once(instance: dg.DagsterInstance) -> None:
    queue = instance.run_coordinator
    assert isinstance(queue, QueuedRunCoordinator)
    assert queue.dequeue_interval_seconds == 0.5
    assert queue.dequeue_use_threads
    assert queue.dequeue_num_workers == 4
    queued = instance.get_concurrency_config().run_queue_config
    assert queued is not None
    assert queued.max_concurrent_runs == 32
    assert queued.max_user_code_failure_retries == 3


def test_ticks_of_one_source_do_not_wait_for_those_of_another(instance: dg.DagsterInstance) -> None:
    for kind in ("sensors", "schedules"):
        assert instance.get_settings(kind) == {"use_threads": True, "num_workers": 8}


def test_dead_runs_are_found_and_their_slots_freed(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
    assert instance.run_monitoring_max_runtime_seconds == 7200
    longest_hold_s = instance.run_monitoring_start_timeout_seconds + instance.run_monitoring_poll_interval_seconds
    assert longest_hold_s <= 120, "so long does a run that nobody launched hold its source"


def test_failed_runs_are_not_retried_as_a_whole(instance: dg.DagsterInstance) -> None:
    assert not instance.run_retries_enabled
    assert not instance.get_settings("run_retries")["retry_on_asset_or_op_failure"]


def test_nothing_is_told_to_anybody(instance: dg.DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_flickers_own_log_lines_reach_the_run_page_and_no_folder_is_left_per_run(instance: dg.DagsterInstance) -> None:
    assert instance.managed_python_loggers == ["flicker"]
    assert isinstance(instance.compute_log_manager, NoOpComputeLogManager)


def test_skipped_ticks_are_kept_for_a_day(instance: dg.DagsterInstance) -> None:
    for kind in (InstigatorType.SENSOR, InstigatorType.SCHEDULE):
        kept = {status.value: days for status, days in instance.get_tick_retention_settings(kind).items()}
        assert (kept["SKIPPED"], kept["SUCCESS"], kept["FAILURE"]) == (1, 7, 30)


def test_the_commented_postgres_block_becomes_valid_when_uncommented(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    path = tmp_path / "dagster.yaml"
    text = path.read_text(encoding="utf-8")
    above, marker, block = text.partition("# storage:\n")
    path.write_text(above + re.sub(r"^# ", "", marker + block, flags=re.M), encoding="utf-8")
    loaded, _ = dagster_instance_config(str(tmp_path))  # raises for a key or type that Dagster does not know
    assert loaded["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
