"""The live tail of a source: a sensor whose cursor is the position.

A tick folds the last run's outcome into the cursor, then decides: a run is in flight, a failure is being waited out, a
quiet source has nothing new (probed), or a run is asked for. Every skip says why.
"""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timezone

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import CollectError
from flicker_dagster.orchestration import bounded, internals, names
from flicker_dagster.orchestration.cursor import LiveCursor, fold
from flicker_dagster.orchestration.history import (
    LiveOutcome,
    RunSeen,
    failures_in_a_row,
    live_outcome,
    recent_runs,
)
from flicker_dagster.orchestration.probing import hurried, probes
from flicker_dagster.orchestration.retries import as_tick
from flicker_dagster.orchestration.rewinding import heed_rewind, saved_cursor
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.carry_over import carry_over
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import StreamName

log = logging.getLogger("flicker.sensor")

#: Dagster's sensor daemon loops every five seconds: nothing below is reachable.
DAGSTER_FLOOR_S = 5

#: Longest wait between attempts at a source that keeps failing.
FAILURE_CAP_S = 15 * 60


def build_live_sensor(
    source: SourceConfig, settings: Settings, job: dg.UnresolvedAssetJobDefinition | str
) -> dg.SensorDefinition:
    """The sensor `<asset>_live`, running by default, at the source's `polling_frequency_ms`."""
    open_work, every_s = _kept_work(source, settings), interval_s(source.polling_frequency_ms)

    @dg.sensor(
        name=names.sensor_name(source.full_name),
        job_name=job if isinstance(job, str) else job.name,
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Live tail of {source.name}, every {every_s} s. The cursor is the position; edit it to rewind, "
            'and add "redeliver": true to ship everything again up to where collection stood.'
        ),
    )
    def live(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        internals.keep_instance(context)
        with as_tick(source):
            try:
                result = bounded.ticks.call(context.sensor_name, lambda: tick(context, open_work()))
            except bounded.NotDone as why_not:
                result = dg.SensorResult(skip_reason=str(why_not))
            return unless_edited(context, result)

    return live


def unless_edited(context: dg.SensorEvaluationContext, result: dg.SensorResult) -> dg.SensorResult:
    """Drop what a tick decided if the cursor was edited while it thought: Dagster would overwrite the edit with ours."""
    stored = internals.stored_cursor(context)
    if stored is None or stored == context.cursor:
        return result
    return dg.SensorResult(skip_reason="the cursor was edited by hand during this tick", cursor=stored)


def interval_s(polling_frequency_ms: int) -> int:
    """The poll interval in whole seconds, never below Dagster's floor."""
    return max(DAGSTER_FLOOR_S, math.ceil(polling_frequency_ms / 1000))


def tick(context: dg.SensorEvaluationContext, work: SourceWork) -> dg.SensorResult:
    """One evaluation. Raises StateError for a registry that cannot be read: the tick fails, nothing moves."""
    before = context.cursor
    saved = saved_cursor(work, before) if before else None
    cursor = saved or LiveCursor(starting_position(work))
    cursor = heed_rewind(work.rewinds, cursor, saved=saved is not None)
    runs = recent_runs(context.instance, work, names.LIVE)
    outcome = _last_outcome(context.instance, work.source.full_name, runs)
    if outcome is not None:
        cursor = fold(cursor, outcome.outcome)
    every_s = interval_s(work.source.polling_frequency_ms)
    reason = _reason_to_wait(runs, every_s=every_s, now_s=work.clock()) or _quiet(work, cursor, runs, outcome)
    if reason is not None:
        text = cursor.to_text()
        return dg.SensorResult(skip_reason=reason, cursor=text if text != before else None)
    cursor = cursor.asking(uuid.uuid4().hex[:12])
    request = _request(work.source.full_name, cursor, work.state_id)
    return dg.SensorResult(run_requests=[request], cursor=cursor.to_text())


def _request(stream: StreamName, cursor: LiveCursor, state_id: str) -> dg.RunRequest:
    """A live run from the cursor. It has no run key: a key once used would block every retry from the same position."""
    config = {
        "last_timestamp": cursor.position.last_timestamp,
        "cursor": cursor.position.cursor or "",
        "redeliver": cursor.redeliver,
    }
    assert cursor.awaiting is not None
    return dg.RunRequest(
        run_config={"ops": {names.graph_name(stream): {"ops": {"fetch": {"config": config}}}}},
        tags={
            **names.run_tags(stream, state_id, names.LIVE),
            names.REQUEST_TAG: cursor.awaiting,
            names.PRIORITY_TAG: str(names.PRIORITIES[names.LIVE]),
        },
    )


def _last_outcome(instance: dg.DagsterInstance, stream: StreamName, runs: list[RunSeen]) -> LiveOutcome | None:
    last = next((run for run in runs if run.succeeded), None)
    return None if last is None else live_outcome(instance, stream, last)


def _reason_to_wait(runs: list[RunSeen], *, every_s: int, now_s: float) -> str | None:
    in_flight = next((run for run in runs if run.in_flight), None)
    if in_flight is not None:
        return f"run {in_flight.run_id[:8]} is in flight"
    if not runs:
        return None
    last = runs[0]
    if last.resume_at_s is not None and now_s < last.resume_at_s:
        return f"waits until {_clock(last.resume_at_s)}: {last.error or 'the vendor asked for a pause'}"
    failures = failures_in_a_row(runs)
    if failures:
        wait_s = min(FAILURE_CAP_S, every_s * 2 ** (failures - 1))
        until_s = (last.ended_s or now_s) + wait_s
        if now_s < until_s:
            why = last.error or "see the run for its error"
            return (
                f"waits until {_clock(until_s)} after {failures} failed run(s) in a row: {why} (run {last.run_id[:8]})"
            )
    return None


def _quiet(work: SourceWork, cursor: LiveCursor, runs: list[RunSeen], outcome: LiveOutcome | None) -> str | None:
    """Probe a source whose last look found nothing; a busy one, a rewound one or an unfinished walk gets its run."""
    if outcome is None or cursor.redeliver or not runs or not runs[0].succeeded:
        return None
    if outcome.new or not outcome.complete or outcome.outcome.end != cursor.position:
        return None
    try:
        found = probes.look(work, cursor.position)
    except CollectError as error:
        return None if not error.retry_after_s else f"probe: {error}"
    return (
        None
        if found is None or found.found
        else f"nothing new since {cursor.position.last_timestamp} (probed {found.pages} page(s))"
    )


def _kept_work(source: SourceConfig, settings: Settings) -> Callable[[], SourceWork]:
    """One work per source for the life of the code server, so that probes keep their connections alive."""
    kept: list[SourceWork] = []
    lock = threading.Lock()

    def open_work() -> SourceWork:
        with lock:
            if not kept:
                work = settings.work(hurried(source))
                carry_over(work)
                kept.append(work)
                log.info("Now tailing API source: %s", source.name)
            return kept[0]

    return open_work


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%H:%M:%S UTC")
