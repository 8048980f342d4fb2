"""The asset checks: `complete` (what the last sweep found late) and `delivered` (dead letters)."""

from __future__ import annotations

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import names
from flicker_dagster.pipeline.deliver import WindowReport


def check_specs(source: SourceConfig) -> list[dg.AssetCheckSpec]:
    asset = dg.AssetKey(source.asset_name)
    return [
        dg.AssetCheckSpec(
            names.CHECK_COMPLETE,
            asset=asset,
            description="Did live collection miss anything that the last sweep of a window had to deliver?",
        ),
        dg.AssetCheckSpec(
            names.CHECK_DELIVERED, asset=asset, description="Does the SIEM hold every event, or are there dead letters?"
        ),
    ]


def complete_check(
    source: SourceConfig, reports: list[WindowReport], *, begun_ms: int | None
) -> dg.AssetCheckResult | None:
    """What a window run found. Windows from before collection began are a backfill, not a miss."""
    swept = [report for report in reports if begun_ms is not None and report.window.start_ms >= begun_ms]
    if not swept:
        return None
    late = sum(report.tally.new for report in swept)
    seen = sum(report.tally.seen for report in swept)
    windows = ", ".join(report.window.key for report in swept)
    if late == 0:
        words = f"{windows}: {seen} events at the vendor, all delivered before the sweep"
    else:
        words = f"{windows}: {seen} events at the vendor, {late} were missing and have now been delivered"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(source.asset_name),
        check_name=names.CHECK_COMPLETE,
        passed=late == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"late": late, "seen": seen},
    )


def delivered_check(source: SourceConfig, dead_letters: int) -> dg.AssetCheckResult:
    words = "no dead letters" if dead_letters == 0 else f"{dead_letters} dead letters; see `flicker dead-letters list`"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(source.asset_name),
        check_name=names.CHECK_DELIVERED,
        passed=dead_letters == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        description=words,
        metadata={"dead letters": dead_letters},
    )
