"""From a configured source to its Dagster objects: names, tags, kinds, owners, freshness."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.config.groups import SweepConfig, WindowConfig
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import asset_name
from flicker_dagster.orchestration.factory import SourceDefinitions, build_definitions, build_source
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.builders import a_source

DOCUMENTED = Path(__file__).parents[1] / "data" / "documented-config.yaml"


def built(**source: Any) -> SourceDefinitions:
    return build_source(a_source(**source), Settings())


def spec(part: SourceDefinitions) -> dg.AssetSpec:
    return next(iter(part.asset.specs))


def grid(part: SourceDefinitions) -> dg.TimeWindowPartitionsDefinition:
    assert isinstance(part.asset.partitions_def, dg.TimeWindowPartitionsDefinition)
    return part.asset.partitions_def


def test_every_object_is_named_after_its_source() -> None:
    part = built(name="okta-audit.logs 2")
    assert part.asset.key == dg.AssetKey("okta_audit_logs_2")
    assert part.job.name == "okta_audit_logs_2_job"
    assert part.sensor is not None
    assert part.sensor.name == "okta_audit_logs_2_live"
    assert part.schedule.name == "okta_audit_logs_2_sweep"
    assert {key.name for key in part.asset.check_keys} == {"complete", "delivered"}
    assert {node.name for node in part.asset.node_def.nodes} == {"fetch", "deliver"}  # type: ignore[attr-defined]


def test_a_stream_stands_below_its_source() -> None:
    part = build_source(a_source(name="google-workspace").as_stream("user_accounts"), Settings())
    assert part.asset.key == dg.AssetKey(["google_workspace", "user_accounts"])
    assert part.job.name == "google_workspace__user_accounts_job"
    within = build_source(a_source(name="google").as_stream("login").within("team"), Settings())
    assert within.asset.key == dg.AssetKey(["team", "google", "login"])


def test_the_asset_says_what_it_is_and_whose() -> None:
    part = built(vendor="github", owners=["team:security", "ana@example.test"], description="Who did what")
    asset = spec(part)
    assert asset.group_name == "audit_logs"
    assert asset.kinds == {"api", "http", "github"}
    assert asset.owners == ["team:security", "ana@example.test"]
    assert asset.tags["flicker/vendor"] == "github"
    assert (asset.description or "").startswith("Who did what")
    assert asset.metadata["source"] == dg.MetadataValue.text("test-source")
    assert asset.metadata["poll interval s"] == dg.MetadataValue.int(30)
    assert "docs.github.com" in str(asset.metadata["vendor documentation"])


def test_secrets_stay_templates_in_what_dagster_stores() -> None:
    asset = spec(built(endpoint="https://${HOST}/events?key=${KEY}"))
    assert asset.metadata["endpoint"] == dg.MetadataValue.text("https://${HOST}/events?key=${KEY}")


@pytest.mark.parametrize(("size", "hours"), [("hour", 3), ("day", 72)])
def test_the_asset_is_stale_when_three_windows_bring_nothing(size: Any, hours: int) -> None:
    part = built(window=WindowConfig(size=size), sweep=SweepConfig(settle_ms=600_000))
    assert spec(part).freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours, minutes=10))


def test_hourly_windows_are_utc_and_end_with_the_last_closed_hour() -> None:
    now = datetime(2026, 5, 2, 9, 30, tzinfo=timezone.utc)
    keys = grid(built(window=WindowConfig(start="2026-05-01"))).get_partition_keys(current_time=now)
    assert (keys[0], keys[-1], len(keys)) == ("2026-05-01-00:00", "2026-05-02-08:00", 33)


def test_daily_windows_end_with_yesterday() -> None:
    now = datetime(2026, 5, 4, 0, 30, tzinfo=timezone.utc)
    keys = grid(built(window=WindowConfig(size="day", start="2026-05-01"))).get_partition_keys(current_time=now)
    assert keys == ["2026-05-01", "2026-05-02", "2026-05-03"]


def test_a_backfill_reads_a_day_of_hours_per_run() -> None:
    assert built().asset.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=24)


def test_both_ops_share_the_sources_pool_and_its_retries() -> None:
    part = built()
    ops = [node.definition for node in part.asset.node_def.nodes]  # type: ignore[attr-defined]
    assert {op.pool for op in ops} == {f"flicker_test_source_{Settings().place()}"}
    assert {op.retry_policy.max_retries for op in ops} == {5}


def test_sensor_and_schedule_run_by_default() -> None:
    part = built()
    assert part.sensor is not None
    assert part.sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert part.schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_sources_do_not_all_wake_in_the_same_minute() -> None:
    minutes = {str(built(name=f"source-{number}").schedule.cron_schedule).split("-")[0] for number in range(30)}
    assert minutes == {"0", "1", "2", "3", "4"}


def test_a_cron_of_the_users_own_is_the_schedules() -> None:
    assert built(sweep=SweepConfig(cron="7 * * * *")).schedule.cron_schedule == "7 * * * *"


def test_without_live_there_is_no_sensor_and_the_schedule_stays() -> None:
    part = built(live=False)
    assert part.sensor is None
    assert part.schedule.name == "test_source_sweep"
    assert "collected window by window" in (spec(part).description or "")


def test_the_documented_configuration_gives_one_asset_sensor_and_schedule_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLICKER_CONFIG", str(DOCUMENTED))
    config = load_config(str(DOCUMENTED))
    settings = Settings(config_path=str(DOCUMENTED), state_dir=str(tmp_path), work_dir=str(tmp_path))
    definitions = build_definitions(config, settings)
    assets = [asset_name(source.name) for source in config.sources]
    repository = definitions.get_repository_def()
    assert sorted(key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()) == sorted(
        assets
    )
    assert sorted(sensor.name for sensor in repository.sensor_defs) == sorted(f"{name}_live" for name in assets)
    assert sorted(schedule.name for schedule in repository.schedule_defs) == sorted(
        ["flicker_maintenance_daily", *(f"{name}_sweep" for name in assets)]
    )
    dg.Definitions.validate_loadable(definitions)
