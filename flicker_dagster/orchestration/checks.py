"""The asset checks: `complete` (what the last sweep found late) and `delivered` (dead letters)."""

from __future__ import annotations

import math

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import names
from flicker_dagster.pipeline.deliver import LiveReport, WindowReport
from flicker_dagster.types import Window


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
    source: SourceConfig, reports: list[WindowReport], *, begun_ms: int | None, gaps: list[Window]
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
        enough_ms = math.ceil(max(report.tally.lateness.max_s for report in swept)) * 1000
        words = (
            f"{windows}: {seen} events at the vendor, {late} were missing and have now been delivered; "
            f"lookback_ms: {enough_ms} (now {source.lookback_ms}) would have caught them live"
        )
    if gaps:
        words += f". Gap: {', '.join(window.key for window in gaps[:5])} … were never verified and are no longer kept"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(source.asset_name),
        check_name=names.CHECK_COMPLETE,
        passed=late == 0 and not gaps,
        severity=dg.AssetCheckSeverity.ERROR if gaps else dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"late": late, "seen": seen, "gaps": len(gaps)},
    )


def gap_check(source: SourceConfig, report: LiveReport) -> dg.AssetCheckResult | None:
    """A live run that began further back than the vendor keeps events has lost what lies between: say so."""
    if not report.tally.gap_ms:
        return None
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(source.asset_name),
        check_name=names.CHECK_COMPLETE,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"gap: collection stood at {report.start.last_timestamp}; the vendor no longer keeps the first "
            f"{report.tally.gap_ms / 3_600_000:.1f} hours after that, and they cannot be collected"
        ),
        metadata={"gap s": report.tally.gap_ms / 1000},
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
