"""The sweep of a source: a schedule that asks for every closed, settled window not yet verified, newest first."""

from __future__ import annotations

import zlib

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import bounded, internals, names
from flicker_dagster.orchestration.history import failures_in_a_row, recent_runs
from flicker_dagster.orchestration.retries import as_tick
from flicker_dagster.orchestration.sensor import FAILURE_CAP_S
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import due_windows, gaps
from flicker_dagster.pipeline.begin import begin_without_a_tail
from flicker_dagster.pipeline.carry_over import carry_over
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import StreamName, Window

#: Minutes between looks for windows to sweep, and the base of the wait after a failed sweep.
TICK_MINUTES = 5


def build_sweep_schedule(
    source: SourceConfig, settings: Settings, job: dg.UnresolvedAssetJobDefinition, *, grid_ms: int
) -> dg.ScheduleDefinition:
    """The schedule `<asset>_sweep`, running by default. `grid_ms` is where the grid begins that Dagster has loaded."""

    def look(instance: dg.DagsterInstance, work: SourceWork) -> dg.SkipReason | list[dg.RunRequest]:
        carry_over(work)
        return tick(instance, work, grid_ms=grid_ms)

    @dg.schedule(
        name=names.schedule_name(source.full_name),
        job=job,
        cron_schedule=source.sweep.cron or _cron(source.name),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_timezone="UTC",
        description=f"Reads every closed {source.window.size} of {source.name} again and delivers what live polls missed.",
    )
    def sweep(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        internals.keep_instance(context)
        with as_tick(source):
            try:
                work = settings.work(source)
                return bounded.ticks.call(names.schedule_name(source.full_name), lambda: look(context.instance, work))
            except bounded.NotDone as why_not:
                return dg.SkipReason(str(why_not))

    return sweep


def tick(instance: dg.DagsterInstance, work: SourceWork, *, grid_ms: int = 0) -> dg.SkipReason | list[dg.RunRequest]:
    """Ask for the windows that are due, or say why none is. One before the grid is due once the definitions are loaded
    again: collection then turned out to have begun earlier than they knew."""
    source = work.source
    if not source.window.askable:
        return dg.SkipReason("this API lists what arrives and cannot be asked for a window")
    if not source.sweep.enabled:
        return dg.SkipReason("sweep.enabled is false")
    if not source.live:
        begin_without_a_tail(work)  # what the sensor's first tick does for the others
    runs = recent_runs(instance, work, names.SWEEP)
    busy = next((run for run in runs if run.in_flight), None)
    if busy is not None:
        return dg.SkipReason(f"run {busy.run_id[:8]} sweeps {busy.partition}")
    resume_at_s = runs[0].resume_at_s if runs else None
    if resume_at_s is not None and work.clock() < resume_at_s:
        return dg.SkipReason(f"waits as it was asked to: {runs[0].error or 'the vendor asked for a pause'}")
    failures = failures_in_a_row(runs)
    if failures:
        wait_s = min(FAILURE_CAP_S, 60 * TICK_MINUTES * 2 ** (failures - 1))
        if work.clock() < (runs[0].ended_s or 0) + wait_s:
            return dg.SkipReason(
                f"waits after {failures} failed sweep(s): {runs[0].error or 'see the run for its error'}"
            )
    due = [window for window in due_windows(instance, work) if window.start_ms >= grid_ms]
    if not due:
        lost = gaps(instance, work)
        words = f"; {len(lost)} window(s) were never verified and are no longer kept by the vendor" if lost else ""
        return dg.SkipReason(f"every settled window is verified{words}")
    return [_request(source.full_name, window, work.state_id) for window in due[: source.sweep.max_windows_per_tick]]


def _request(stream: StreamName, window: Window, state_id: str) -> dg.RunRequest:
    """The run key counts within one tick only: a later tick may ask for the same window again."""
    return dg.RunRequest(
        run_key=window.key,
        partition_key=window.key,
        tags={
            **names.run_tags(stream, state_id, names.SWEEP),
            names.PRIORITY_TAG: str(names.PRIORITIES[names.SWEEP]),
        },
    )


def _cron(source: str) -> str:
    """Every few minutes, each source at its own offset, so that thirty sources do not wake in the same minute."""
    offset = zlib.crc32(source.encode()) % TICK_MINUTES
    return f"{offset}-59/{TICK_MINUTES} * * * *"
