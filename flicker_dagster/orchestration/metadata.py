"""What a materialisation says: numbers as numbers, so that Dagster plots them over time."""

from __future__ import annotations

import math

import dagster as dg

from flicker_dagster.deliver.drain import DrainReport
from flicker_dagster.orchestration import names
from flicker_dagster.pipeline.deliver import LiveReport, WindowReport
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position


def live_metadata(report: LiveReport, *, now_ms: int) -> dict[str, dg.MetadataValue]:
    """A live run: how many events, how late behind the vendor, and from where to where the position moved."""
    end = _position(report.end)
    if report.redeliver and not report.complete:
        end["redeliver"] = True
    metadata = (
        _counts(report.tally) | _lateness(report.tally) | _drained(report.drained, report.tally) | _shared(report)
    )
    metadata |= {
        "dagster/row_count": dg.MetadataValue.int(report.drained.delivered),
        names.FROM_KEY: dg.MetadataValue.json(_position(report.start)),
        names.TO_KEY: dg.MetadataValue.json(end),
        names.COMPLETE_KEY: dg.MetadataValue.bool(report.complete),
    }
    if report.registry_moved:
        metadata["registry moved by another Flicker"] = dg.MetadataValue.bool(True)
    if report.tally.last_ms is not None and report.tally.first_ms is not None:
        metadata["collection lag s"] = dg.MetadataValue.float(round((now_ms - report.tally.last_ms) / 1000, 3))
        metadata["oldest event lag s"] = dg.MetadataValue.float(round((now_ms - report.tally.first_ms) / 1000, 3))
    return metadata


def window_metadata(report: WindowReport) -> dict[str, dg.MetadataValue]:
    """A window run: what the vendor has of the window, and how much of it was missing until now."""
    window = report.window
    again = {names.REDELIVERED_KEY: dg.MetadataValue.bool(True)}
    return (
        _counts(report.tally)
        | (again if report.redeliver else _lateness(report.tally))
        | _drained(report.drained, report.tally)
        | _shared(report)
        | {
            "dagster/partition_row_count": dg.MetadataValue.int(report.tally.seen),
            "window": dg.MetadataValue.text(f"[{rfc3339_ms(window.start_ms)}, {rfc3339_ms(window.end_ms)})"),
            "covered": dg.MetadataValue.text(f"covered, {report.tally.seen} events"),
            "ids digest": dg.MetadataValue.text(report.tally.ids_sum),
            names.VERIFIED_KEY: dg.MetadataValue.timestamp(report.began_ms / 1000),
        }
    )


def _counts(tally: Tally) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        names.SEEN_KEY: dg.MetadataValue.int(tally.seen),
        names.NEW_KEY: dg.MetadataValue.int(tally.new),
        "events already delivered": dg.MetadataValue.int(tally.known),
        "events late": dg.MetadataValue.int(tally.late),
        "events filtered": dg.MetadataValue.int(tally.filtered),
        "events without a time": dg.MetadataValue.int(tally.untimed),
        "events from the future": dg.MetadataValue.int(tally.future),
        "pages": dg.MetadataValue.int(tally.pages),
        "bytes": dg.MetadataValue.int(tally.bytes),
    }
    if tally.untimed:
        metadata["in place of a time"] = dg.MetadataValue.text(tally.untimed_shape)
    if tally.cursor_resets:
        metadata["started again by time"] = dg.MetadataValue.int(tally.cursor_resets)
    if tally.unproven is not None:
        metadata[names.DOUBT_KEY] = dg.MetadataValue.text(tally.unproven)
    if tally.gap_ms:
        metadata["gap s"] = dg.MetadataValue.float(tally.gap_ms / 1000)
    if tally.first_ms is not None and tally.last_ms is not None:
        metadata["first event"] = dg.MetadataValue.timestamp(tally.first_ms / 1000)
        metadata["last event"] = dg.MetadataValue.timestamp(tally.last_ms / 1000)
    return metadata


def _lateness(tally: Tally) -> dict[str, dg.MetadataValue]:
    """How late the late events were found. The maximum is rounded up: a lookback of that length would do."""
    metadata: dict[str, dg.MetadataValue] = {}
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        lateness_s = tally.lateness.quantile_s(share)
        if lateness_s is not None:
            metadata[f"lateness {name} s"] = dg.MetadataValue.float(lateness_s)
    if tally.lateness.max_s:
        metadata[names.LATENESS_KEY] = dg.MetadataValue.float(math.ceil(tally.lateness.max_s * 10) / 10)
    return metadata


def _shared(report: LiveReport | WindowReport) -> dict[str, dg.MetadataValue]:
    if not report.sent_by_another:
        return {}
    return {"events sent by another Flicker too": dg.MetadataValue.int(report.sent_by_another)}


def _drained(drained: DrainReport, tally: Tally) -> dict[str, dg.MetadataValue]:
    answers = ", ".join(f"{status} × {count}" for status, count in sorted(drained.statuses.items()))
    return {
        "batches": dg.MetadataValue.int(drained.batches),
        "events delivered": dg.MetadataValue.int(drained.delivered),
        "events the SIEM had already": dg.MetadataValue.int(drained.duplicate),
        "events dead-lettered": dg.MetadataValue.int(drained.dead + tally.set_aside),
        "SIEM answers": dg.MetadataValue.text(answers or "nothing to send"),
    }


def _position(position: Position) -> dict[str, object]:
    return {"last_timestamp": position.last_timestamp, "cursor": position.cursor}
