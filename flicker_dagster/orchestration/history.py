"""What Dagster remembers of a source's runs: which is in flight, how the last ones ended, what they said."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import msgspec

from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.cursor import Outcome
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Position, StreamName

#: Enough to count the failures in a row that matter for waiting.
RECENT_RUNS = 12


class RunSeen(msgspec.Struct, frozen=True):
    """One run of a source, newest first in lists. Times are seconds since the epoch."""

    run_id: str
    in_flight: bool
    succeeded: bool
    request: str | None
    partition: str | None
    error: str | None  # or why it paused
    resume_at_s: float | None
    started_s: float | None
    ended_s: float | None


class LiveOutcome(msgspec.Struct, frozen=True):
    """The materialisation of a successful live run."""

    outcome: Outcome
    new: int
    complete: bool


def recent_runs(instance: dg.DagsterInstance, work: SourceWork, mode: str) -> list[RunSeen]:
    """The newest runs of a source in one mode, newest first; not those of another location's source of that name."""
    filters = dg.RunsFilter(tags=names.run_tags(work.source.full_name, work.state_id, mode))
    return [_seen(record) for record in instance.get_run_records(filters=filters, limit=RECENT_RUNS)]


#: What finished runs said, by run id: it never changes, and a quiet source is asked about the same run at each tick.
_told: OrderedDict[str, LiveOutcome] = OrderedDict()
MOST_TOLD = 1_000


def live_outcome(instance: dg.DagsterInstance, stream: StreamName, run: RunSeen) -> LiveOutcome | None:
    """What the materialisation of a finished live run says, or None if it recorded none."""
    found = _told.get(run.run_id) or _live_outcome(instance, stream, run)
    if found is not None:
        _told[run.run_id] = found
        if len(_told) > MOST_TOLD:
            _told.popitem(last=False)
    return found


def _live_outcome(instance: dg.DagsterInstance, stream: StreamName, run: RunSeen) -> LiveOutcome | None:
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=names.asset_key(stream),
            after_timestamp=(run.started_s or 0) - 1,
            before_timestamp=(run.ended_s or 0) + timedelta(seconds=1).total_seconds(),
        ),
        limit=50,
    ).records
    for record in records:
        if record.event_log_entry.run_id == run.run_id and record.asset_materialization is not None:
            metadata = record.asset_materialization.metadata
            if names.FROM_KEY in metadata:
                return _outcome(metadata, run.request)
    return None


def failures_in_a_row(runs: list[RunSeen]) -> int:
    """Finished runs that failed since the last success, newest first."""
    count = 0
    for run in runs:
        if run.in_flight:
            continue
        if run.succeeded:
            break
        count += 1
    return count


def _seen(record: dg.RunRecord) -> RunSeen:
    run = record.dagster_run
    resume = run.tags.get(names.RESUME_TAG)
    return RunSeen(
        run_id=run.run_id,
        in_flight=not run.is_finished,
        succeeded=run.status == dg.DagsterRunStatus.SUCCESS,
        request=run.tags.get(names.REQUEST_TAG),
        partition=run.tags.get(names.PARTITION_TAG),
        error=run.tags.get(names.ERROR_TAG) or run.tags.get(names.PAUSE_TAG),
        resume_at_s=float(resume) if resume else None,
        started_s=record.start_time or record.create_timestamp.timestamp(),
        ended_s=record.end_time or record.update_timestamp.timestamp(),
    )


def _outcome(metadata: Mapping[str, Any], request: str | None) -> LiveOutcome:
    start, end = metadata[names.FROM_KEY].value, metadata[names.TO_KEY].value
    return LiveOutcome(
        outcome=Outcome(
            request=request,
            start=Position(start["last_timestamp"], start["cursor"]),
            end=Position(end["last_timestamp"], end["cursor"]),
            redeliver=bool(end.get("redeliver")),
        ),
        new=int(metadata[names.NEW_KEY].value),
        complete=bool(metadata[names.COMPLETE_KEY].value),
    )
