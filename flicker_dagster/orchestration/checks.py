"""The asset checks: `complete` (what the last sweep found late) and `delivered` (dead letters)."""

from __future__ import annotations

import math
from typing import Any

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.verified import Look
from flicker_dagster.pipeline.deliver import LiveReport
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Window

#: Window keys named in the words of a check.
SHOWN_WINDOWS = 5


def check_specs(source: SourceConfig) -> list[dg.AssetCheckSpec]:
    asset = dg.AssetKey(names.asset_path(source))
    return [
        dg.AssetCheckSpec(
            names.CHECK_COMPLETE,
            asset=asset,
            description="Did live collection miss anything that a sweep of the last day had to deliver?",
        ),
        dg.AssetCheckSpec(
            names.CHECK_DELIVERED, asset=asset, description="Does the SIEM hold every event, or are there dead letters?"
        ),
    ]


def complete_check(source: SourceConfig, looks: list[Look], *, gaps: list[Window]) -> dg.AssetCheckResult:
    """What sweeps found in these looks at windows: of this run and, so that a late finding stays in sight while clean
    windows are swept, of the last day."""
    swept = {look.key: look for look in sorted(looks, key=lambda look: look.at_ms)}
    seen = sum(look.seen for look in swept.values())
    late = sum(look.late for look in looks) if source.live else 0  # without a tail, sweeps are how events come
    words = f"{_windows(list(swept))} swept in a day: {seen} events at the vendor, "
    if late == 0:
        words += "all delivered before the sweep" if source.live else "all delivered"
    else:
        found = [look for look in looks if look.late]
        enough_ms = math.ceil(max(look.lateness_max_s for look in found)) * 1000
        words += (
            f"{late} were missing and have now been delivered; lookback_ms: {enough_ms} (now {source.lookback_ms}) would "
            f"have caught them live. They were in {_some(sorted({look.key for look in found}, reverse=True))}"
        )
    if gaps:
        words += f". Gap: {_some([window.key for window in gaps])} were never verified and are no longer kept"
    return _complete_result(
        source,
        passed=late == 0 and not gaps,
        severity=dg.AssetCheckSeverity.ERROR if gaps else dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"late": late, "seen": seen, "windows": len(swept), "gaps": len(gaps)},
    )


def _complete_key(source: SourceConfig) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(names.asset_path(source)), names.CHECK_COMPLETE)


def _complete_result(source: SourceConfig, **found: Any) -> dg.AssetCheckResult:
    key = _complete_key(source)
    return dg.AssetCheckResult(asset_key=key.asset_key, check_name=key.name, **found)


def _windows(keys: list[str]) -> str:
    return f"1 window ({keys[0]})" if len(keys) == 1 else f"{len(keys)} windows (last {keys[-1]})"


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN_WINDOWS]) + (" …" if len(keys) > SHOWN_WINDOWS else "")


def gap_check(source: SourceConfig, report: LiveReport) -> dg.AssetCheckResult | None:
    """A live run that began further back than the vendor keeps events has lost what lies between: say so."""
    if not report.tally.gap_ms:
        return None
    return _complete_result(
        source,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"gap: collection stood at {report.start.last_timestamp}; the vendor no longer keeps the first "
            f"{report.tally.gap_ms / 3_600_000:.1f} hours after that, and they cannot be collected"
        ),
        metadata={"gap s": report.tally.gap_ms / 1000},
    )


def last_finding(instance: dg.DagsterInstance, work: SourceWork) -> dg.AssetCheckResult:
    """What the last sweep found, once more. Dagster shows a check beside the latest materialisation only: a live run
    that left it out would hide the finding behind "skipped" or "not evaluated"."""
    source = work.source
    found = internals.last_evaluation(instance, _complete_key(source), state_id=work.state_id)
    if found is None:
        return _complete_result(source, passed=True, description="no window has been swept yet")
    return _complete_result(
        source, passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
    )


def marked(result: dg.AssetCheckResult, state_id: str) -> dg.AssetCheckResult:
    """The result with the mark by which `last_finding` knows it again."""
    return result._replace(metadata={**result.metadata, names.STATE_TAG: dg.MetadataValue.text(state_id)})


def delivered_check(source: SourceConfig, dead_letters: int) -> dg.AssetCheckResult:
    words = "no dead letters" if dead_letters == 0 else f"{dead_letters} dead letters; see `flicker dead-letters list`"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(names.asset_path(source)),
        check_name=names.CHECK_DELIVERED,
        passed=dead_letters == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        description=words,
        metadata={"dead letters": dead_letters},
    )
