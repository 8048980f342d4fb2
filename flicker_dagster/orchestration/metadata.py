"""What a materialisation says: numbers as numbers, so that Dagster plots them over time."""

from __future__ import annotations

import math

import dagster as dg

from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.deliver.shape_counts import ShapeCounts
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
    metadata = _counts(report.tally) | _lateness(report.tally) | _delivered(report.lanes, report.tally)
    metadata |= {
        "dagster/row_count": dg.MetadataValue.int(max(lane.delivered for lane in report.lanes)),
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
        | _delivered(report.lanes, report.tally)
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


def _delivered(lanes: list[LaneReport], tally: Tally) -> dict[str, dg.MetadataValue]:
    """What each lane did; of a single one under the names that plots over time know."""
    metadata: dict[str, dg.MetadataValue] = {}
    for lane in lanes:
        behind = f" @{lane.lane}" if lane.lane else ""
        answers = ", ".join(f"{status} × {count}" for status, count in sorted(lane.statuses.items()))
        metadata |= {
            f"requests{behind}": dg.MetadataValue.int(lane.requests),
            f"events delivered{behind}": dg.MetadataValue.int(lane.delivered),
            f"events the SIEM had already{behind}": dg.MetadataValue.int(lane.duplicate),
            f"events dead-lettered{behind}": dg.MetadataValue.int(lane.dead + tally.set_aside),
            f"SIEM answers{behind}": dg.MetadataValue.text(answers or "nothing to send"),
        }
        for name, count in (
            ("events awaiting confirmation", lane.awaiting),
            ("events waiting", lane.waiting),
            ("events delivered elsewhere", lane.known),
            ("events dropped", lane.dropped),
        ):
            if count:
                metadata[f"{name}{behind}"] = dg.MetadataValue.int(count)
        metadata |= {f"{name}{behind}": value for name, value in _shaped(lane.shaped).items()}
        if lane.failed is not None:
            metadata[f"why events wait{behind}"] = dg.MetadataValue.text(str(lane.failed))
    return metadata


def _shaped(counts: ShapeCounts) -> dict[str, dg.MetadataValue]:
    """What was done to fields, by the rule's path."""
    found = {"fields dropped": counts.dropped, "fields masked": counts.masked, "normalised to": counts.normalised}
    metadata: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.text(", ".join(f"{path} × {count}" for path, count in sorted(counts.items())))
        for name, counts in found.items()
        if counts
    }
    if counts.left_out:
        metadata["fields left out"] = dg.MetadataValue.int(counts.left_out)
    return metadata


def _position(position: Position) -> dict[str, object]:
    return {"last_timestamp": position.last_timestamp, "cursor": position.cursor}
