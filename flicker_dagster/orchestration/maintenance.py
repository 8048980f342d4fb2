"""The job `flicker_maintenance`: once a day it removes what is no longer needed, so that the disk stays bounded."""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself, not its text.

import logging
import shutil
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg

from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.errors import FlickerError, SourceBusy
from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.run_retention import Ours, remove_old_runs, size_of
from flicker_dagster.orchestration.settings import Settings, configured_by_env
from flicker_dagster.orchestration.verified import due_windows
from flicker_dagster.pipeline.plan import time_of
from flicker_dagster.pipeline.windows import DAY_MS, SIZES_MS, shard_of
from flicker_dagster.pipeline.work import LIVE, SourceWork
from flicker_dagster.state.owners import others, write_down

log = logging.getLogger("flicker.maintenance")

#: Once a day, but asked about every hour, so that a machine which sleeps at night, or a day that failed, catches up.
#: Not at the full hour, when sources are swept.
CRON = "37 * * * *"
DUE_AFTER = timedelta(hours=23, minutes=50)

#: What nobody has touched for so long belongs to no run and to no Flicker that is alive.
ABANDONED_S = 2 * 86_400


def build_maintenance(config: FlickerConfig, settings: Settings) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """The job and its daily schedule, running by default."""
    name = names.maintenance_name(config.namespace, settings.config_path, configured_by_env=configured_by_env())

    @dg.op(
        name=f"{name}__maintain",
        description="Remove old runs, ledger shards and leftovers; see Retention in the README.",
    )
    def maintain_op(context: dg.OpExecutionContext) -> None:
        works = [settings.work(source) for source in config.sources]
        ours = ours_of(config, settings, name, context.run)
        context.add_output_metadata(maintain(context.instance, config, works, ours, now_s=time.time()))

    @dg.job(name=name, executor_def=dg.in_process_executor, description="Keeps the disk bounded; runs daily by itself.")
    def maintenance() -> None:
        maintain_op.alias("maintain")()

    @dg.schedule(
        name=f"{name}_daily",
        job=maintenance,
        cron_schedule=CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes old runs, ledger shards and leftovers once a day.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | dg.RunRequest:
        internals.keep_instance(context)
        return tick(context.instance, name, settings.layout().state_id(), now=datetime.now(tz=timezone.utc))

    return maintenance, daily


def ours_of(config: FlickerConfig, settings: Settings, job: str, run: dg.DagsterRun) -> Ours:
    """What a run of the maintenance job may touch: what this configuration made, and no other one on the same state.

    Raises StateError.
    """
    layout, owner = settings.layout(), settings.owner(config)
    write_down(layout.store, owner)
    ours = Ours.of(config, layout, job, location=internals.location_of(run))
    return ours.but([(other.namespace, name) for other in others(layout.store, owner) for name in other.sources])


def tick(instance: dg.DagsterInstance, job: str, state_id: str, *, now: datetime) -> dg.SkipReason | dg.RunRequest:
    """Ask for a maintenance of this state if the last one that succeeded is a day old, or say why not."""
    tags = {names.STATE_TAG: state_id}
    newest = instance.get_runs(filters=dg.RunsFilter(job_name=job, tags=tags), limit=1)
    if newest and not newest[0].is_finished:
        return dg.SkipReason("a maintenance is in flight")
    succeeded = [dg.DagsterRunStatus.SUCCESS]
    done = dg.RunsFilter(job_name=job, tags=tags, statuses=succeeded, updated_after=now - DUE_AFTER)
    if instance.get_runs(filters=done, limit=1):
        return dg.SkipReason("maintained within the last day")
    return dg.RunRequest(tags=tags)


def maintain(
    instance: dg.DagsterInstance, config: FlickerConfig, works: list[SourceWork], ours: Ours, *, now_s: float
) -> dict[str, int]:
    """Remove what the retentions no longer keep; gives what was removed, as metadata of the run.

    Raises dg.Failure with the same metadata, after all is done, where some source could not be maintained.
    """
    removed = remove_old_runs(
        instance,
        ours,
        now_s=now_s,
        successful_ms=config.run_retention_ms,
        failed_ms=config.failed_run_retention_ms,
    )
    shards = units = 0
    troubles: list[str] = []
    for work in works:
        try:
            with work:
                shards += prune_ledger(instance, work, config.ledger_retention_ms)
                units += remove_finished_units(work, before_s=now_s - ABANDONED_S)
        except FlickerError as error:  # a broken source keeps no other from being maintained
            troubles.append(error.one_line(work.source.name))
    folders = {work.layout.work_dir for work in works}
    freed = sum(remove_untracked(folder, before_s=now_s - ABANDONED_S) for folder in folders)
    freed += sum(
        remove_copies(folder, before_s=now_s - ABANDONED_S) for folder in {w.layout.ledger_copies for w in works}
    )
    found = {
        "runs": removed.runs,
        "event rows": removed.rows,
        "files": removed.files,
        "bytes freed": removed.bytes + freed,
        "ledger shards": shards,
        "spool units": units,
    }
    if troubles:
        for trouble in troubles:
            log.error("maintenance: %s", trouble)
        raise internals.told_failure("; ".join(troubles), kind="StateError", metadata=found)
    return found


def prune_ledger(instance: dg.DagsterInstance, work: SourceWork, retention_ms: int) -> int:
    """Forget ids of events older than the retention, but none that a live poll or a sweep may still meet again: they
    would be sent a second time. Gives the number of shards removed."""
    source = work.source
    sweep_ms = max([source.sweep.settle_ms, *source.sweep.revisit_ms]) + 2 * SIZES_MS[source.window.size]
    needed_ms = [work.now_ms() - max(retention_ms, sweep_ms + DAY_MS)]
    stands_ms = time_of(work.registry.position(source.name))
    if stands_ms is not None:
        needed_ms.append(stands_ms - source.lookback_ms - DAY_MS)
    if source.sweep.enabled and source.window.askable:
        needed_ms += [window.start_ms for window in due_windows(instance, work)]
    before = shard_of(min(needed_ms))
    ledgers = [work.layout.ledger(source.name, storage) for storage in work.layout.storages(source.name)]
    return sum(len(ledger.prune(before)) for ledger in ledgers)


def remove_finished_units(work: SourceWork, *, before_s: float) -> int:
    """Remove units of windows that nobody has read on for long and of which nothing waits; what they delivered goes into
    the ledger first. A source at work is left for another day."""
    removed = 0
    with suppress(SourceBusy), work.exclusive():
        for name in work.spool.units():
            unit = work.spool.unit(name)
            if name == LIVE or not unit.is_settled or _touched_s(unit.directory) > before_s:
                continue
            for lane in work.lanes:
                lane.ledger.add(unit.lane(lane.name).settled_digests())
            unit.remove()
            removed += 1
    return removed


def remove_untracked(work_dir: Path, *, before_s: float) -> int:
    """Remove the folders of starts without --track that were killed; gives their bytes."""
    freed = 0
    for folder in work_dir.glob(f"{names.UNTRACKED}*"):
        if folder.is_dir() and _touched_s(folder) < before_s:
            freed += size_of(folder)
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def remove_copies(folder: Path, *, before_s: float) -> int:
    """Remove copies of remote ledger shards that nobody has written for long, and what a crash left of one; gives their
    bytes. One that is asked for after all is downloaded again."""
    freed = 0
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            found = path.stat()
            if found.st_mtime < before_s:
                path.unlink()
                freed += found.st_size
    return freed


def _touched_s(folder: Path) -> float:
    touched_s = 0.0
    for path in [folder, *folder.rglob("*")]:
        with suppress(FileNotFoundError):  # somebody is at work there
            touched_s = max(touched_s, path.lstat().st_mtime)
    return touched_s
