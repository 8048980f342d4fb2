"""The asset checks: `complete` (what the last sweep found late) and `delivered` (dead letters)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dagster as dg

from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.verified import Look
from flicker_dagster.pipeline.deliver import LiveReport
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Window

#: Window keys named in the words of a check.
SHOWN_WINDOWS = 5


def check_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
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


def complete_check(
    asset: dg.AssetKey,
    looks: list[Look],
    *,
    live: bool,
    lookback_ms: int,
    gaps: list[Window],
    doubts: Sequence[str] = (),
) -> dg.AssetCheckResult:
    """What sweeps found in these looks at windows: of this run and, so that a late finding stays in sight while clean
    windows are swept, of the last day. `lookback_ms` is that of live collection, where there is any."""
    swept = {look.key: look for look in sorted(looks, key=lambda look: look.at_ms)}
    seen = sum(look.seen for look in swept.values())
    late = sum(look.late for look in looks) if live else 0  # without a tail, sweeps are how events come
    words = f"{_windows(list(swept))} swept in a day: {seen} events at the vendor, "
    if late == 0:
        words += "all delivered before the sweep" if live else "all delivered"
    else:
        found = [look for look in looks if look.late]
        enough_ms = math.ceil(max(look.lateness_max_s for look in found)) * 1000
        words += (
            f"{late} were missing and have now been delivered; lookback_ms: {enough_ms} (now {lookback_ms}) would "
            f"have caught them live. They were in {_some(sorted({look.key for look in found}, reverse=True))}"
        )
    if gaps:
        words += f". Gap: {_some([window.key for window in gaps])} were never verified and are no longer kept"
    words = ". ".join([*doubts, words])
    return _complete_result(
        asset,
        passed=late == 0 and not gaps and not doubts,
        severity=dg.AssetCheckSeverity.ERROR if gaps else dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"late": late, "seen": seen, names.WINDOWS_KEY: len(swept), "gaps": len(gaps)},
    )


def _complete_result(asset: dg.AssetKey, **found: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(asset_key=asset, check_name=names.CHECK_COMPLETE, **found)


def _windows(keys: list[str]) -> str:
    return f"1 window ({keys[0]})" if len(keys) == 1 else f"{len(keys)} windows (last {keys[-1]})"


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN_WINDOWS]) + (" …" if len(keys) > SHOWN_WINDOWS else "")


def gap_check(asset: dg.AssetKey, report: LiveReport) -> dg.AssetCheckResult | None:
    """A live run that began further back than the vendor keeps events has lost what lies between: say so."""
    if not report.tally.gap_ms:
        return None
    return _complete_result(
        asset,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"gap: collection stood at {report.start.last_timestamp}; the vendor no longer keeps the first "
            f"{report.tally.gap_ms / 3_600_000:.1f} hours after that, and they cannot be collected"
        ),
        metadata={"gap s": report.tally.gap_ms / 1000},
    )


def doubt_check(asset: dg.AssetKey, doubt: str | None) -> dg.AssetCheckResult | None:
    """A live run that may not have read all there is, or could not date it: say so."""
    return None if doubt is None else _not_known(asset, doubt)


def last_finding(
    instance: dg.DagsterInstance, work: SourceWork, *, backfilled: Sequence[Window] = (), doubts: Sequence[str] = ()
) -> dg.AssetCheckResult:
    """What the last sweep found, once more. Dagster shows a check beside the latest materialisation only: a live run
    that left it out would hide the finding behind "skipped" or "not evaluated". Where nothing was swept yet, nothing is
    known; a backfill speaks for its windows alone."""
    asset = names.asset_key(work.source.full_name)
    if doubts:
        return _not_known(asset, ". ".join(doubts))
    key = dg.AssetCheckKey(asset, names.CHECK_COMPLETE)
    found = internals.last_evaluation(instance, key, state_id=work.state_id, knows=_speaks_of_sweeps)
    if found is not None:
        return _complete_result(
            asset, passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
        )
    if backfilled:
        words = f"{_windows([w.key for w in backfilled])} backfilled: all delivered. No window since then was swept yet"
        return _complete_result(asset, passed=True, description=words, metadata={names.WINDOWS_KEY: 0})
    return _not_known(asset, "not known yet: no window has been swept yet")


def _speaks_of_sweeps(found: dg.AssetCheckEvaluation) -> bool:
    swept = found.metadata.get(names.WINDOWS_KEY)
    return "gap s" in found.metadata or (swept is not None and bool(swept.value))


def _not_known(asset: dg.AssetKey, words: str) -> dg.AssetCheckResult:
    """Dagster's checks pass or fail, and know no third; what is not known is not green."""
    return _complete_result(asset, passed=False, severity=dg.AssetCheckSeverity.WARN, description=words)


def marked(result: dg.AssetCheckResult, state_id: str) -> dg.AssetCheckResult:
    """The result with the mark by which `last_finding` knows it again."""
    return result._replace(metadata={**result.metadata, names.STATE_TAG: dg.MetadataValue.text(state_id)})


def delivered_check(
    instance: dg.DagsterInstance, work: SourceWork, tallies: Sequence[Tally], reports: Sequence[LaneReport]
) -> dg.AssetCheckResult:
    """What keeps events from their destinations: dead letters, and lanes that have not settled everything. Where no event
    has come by yet, nothing is known of them."""
    key = dg.AssetCheckKey(names.asset_key(work.source.full_name), names.CHECK_DELIVERED)
    letters = {lane.name: lane.dead_letters.count() for lane in work.lanes}
    total = sum(letters.values())
    unsettled = [report for report in reports if not report.done]
    required = {lane.name for lane in work.lanes if lane.required}
    found = internals.last_evaluation(instance, key, state_id=work.state_id)
    known = any(tally.new or tally.known > 0 for tally in tallies) or total > 0 or bool(unsettled)
    known = known or (found is not None and "not known" not in found.metadata)
    metadata: dict[str, Any] = {"dead letters": total}
    severity = dg.AssetCheckSeverity.ERROR
    if not known:
        words, severity = "not known yet: no event was delivered so far", dg.AssetCheckSeverity.WARN
        metadata["not known"] = True
    else:
        words = "; ".join([_letters(letters), *map(_unsettled, unsettled)])
        if total == 0 and unsettled and not any(report.lane in required for report in unsettled):
            severity = dg.AssetCheckSeverity.WARN  # best effort
        metadata |= {f"dead letters @{name}": count for name, count in letters.items() if name}
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=known and total == 0 and not unsettled,
        severity=severity,
        description=words,
        metadata=metadata,
    )


def _letters(letters: dict[str, int]) -> str:
    kept = [f"{count} dead letters{f' @{name}' if name else ''}" for name, count in letters.items() if count]
    return f"{', '.join(kept)}; see `flicker dead-letters list`" if kept else "no dead letters"


def _unsettled(report: LaneReport) -> str:
    where = f"@{report.lane}: " if report.lane else ""
    if report.failed is not None:
        return f"{where}{report.waiting + report.awaiting} events wait: {report.failed}"
    return f"{where}{report.awaiting} events were taken and are not confirmed yet"
