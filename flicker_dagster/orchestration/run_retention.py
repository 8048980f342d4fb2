"""What old runs leave behind, and how to remove it while every window stays green.

A run goes with its row, its tags, its log and its files. What stays is the latest materialisation of each partition and
the latest evaluation of each check: the UI's grid and the sweep read those.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import msgspec

from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.recorded import Recorded, RunsMade, delete_run_row, history_folder
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.types import StreamName

#: Runs whose rows are deleted in one transaction: other processes write in between.
BATCH = 100

#: Runs whose rows are read at once.
PAGE = 1000

#: Sweeps look back a day for what was found late; a run is never forgotten sooner.
LEAST_MS = 86_400_000

FINISHED = {
    "successful": [dg.DagsterRunStatus.SUCCESS],
    "failed": [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
}


class Ours(msgspec.Struct, frozen=True):
    """What one configuration has made on an instance that it may share with others: other code locations, other
    configurations on the same state, other teams.

    `location` is where Dagster says that this configuration's jobs are, None in process. `foreign_assets` and
    `foreign_sources` (their tags) are those of other configurations that keep their state in the same place.
    """

    state_id: str
    work_dir: Path
    jobs: frozenset[str]
    assets: frozenset[dg.AssetKey]
    namespace: str = ""
    location: str | None = None
    foreign_assets: frozenset[dg.AssetKey] = frozenset()
    foreign_sources: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: FlickerConfig, layout: StateLayout, *jobs: str, location: str | None = None) -> Ours:
        assets = frozenset(names.asset_key(source.full_name) for source in config.sources)
        own_jobs = frozenset({*jobs, *(names.job_name(source.full_name) for source in config.sources)})
        return cls(layout.state_id(), layout.work_dir, own_jobs, assets, config.namespace, location)

    def but(self, foreign: Iterable[tuple[str, str]]) -> Ours:
        """The same without these sources of other configurations, given by namespace and name."""
        sources = list(foreign)
        return msgspec.structs.replace(
            self,
            foreign_assets=frozenset(key for source in sources for key in _assets_called(*source)) - self.assets,
            foreign_sources=frozenset(names.source_tag(namespace, name) for namespace, name in sources),
        )

    def has(self, run: dg.DagsterRun) -> bool:
        """A run of ours bears the mark of our state. One that ended before it got it is known by its location. Those of
        sources that were renamed or removed are ours still, as long as no other configuration has them."""
        mark = run.tags.get(names.STATE_TAG)
        if mark != self.state_id and not (mark is None and internals.location_of(run) == self.location):
            return False
        if run.job_name in self.jobs or (run.asset_selection and self.assets.issuperset(run.asset_selection)):
            return True
        source = run.tags.get(names.SOURCE_TAG)
        if mark is None or source is None or source in self.foreign_sources:
            return False
        return source.startswith(names.source_tag(self.namespace, ""))


def _assets_called(namespace: str, name: str) -> set[dg.AssetKey]:
    """A stream of `google` may be called `google/login`, and a source may be as well."""
    source, _, stream = name.partition("/")
    return {names.asset_key(StreamName(*each, namespace)) for each in ((name, ""), (source, stream))}


class Removed(msgspec.Struct):
    """What one maintenance removed."""

    runs: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0


def remove_old_runs(
    instance: dg.DagsterInstance, ours: Ours, *, now_s: float, successful_ms: int, failed_ms: int
) -> Removed:
    """Remove finished runs of ours that were last changed longer ago than that, and the leftovers of removed ones."""
    removed = Removed()
    kept = _still_asked_for(instance, ours)
    recorded = Recorded(instance, ours.state_id)
    for statuses, age_ms in zip(FINISHED.values(), (successful_ms, failed_ms), strict=True):
        before = datetime.fromtimestamp(now_s - max(age_ms, LEAST_MS) / 1000, tz=timezone.utc)
        old = [run.run_id for run in _runs(instance, ours, statuses, before) if run.run_id not in kept]
        for some in _batches(old):
            removed.rows += recorded.forget(some)
            for run_id in some:  # the run's row last: while it is there, a maintenance that was killed is done again
                _remove_files(instance, run_id, removed)
                delete_run_row(instance, run_id)
            removed.runs += len(some)
    _remove_leftovers(instance, ours, removed)
    _truncate_logs(instance)
    return removed


def _runs(
    instance: dg.DagsterInstance, ours: Ours, statuses: list[dg.DagsterRunStatus], before: datetime
) -> Iterator[dg.DagsterRun]:
    filters, cursor = dg.RunsFilter(statuses=statuses, updated_before=before), None
    while page := instance.get_runs(filters=filters, cursor=cursor, limit=PAGE):
        yield from (run for run in page if ours.has(run))
        cursor = page[-1].run_id


def _still_asked_for(instance: dg.DagsterInstance, ours: Ours) -> set[str]:
    """The last run and the last successful one of each job and mode: the sensor reads how they ended."""
    kept = set()
    for job in ours.jobs:
        for mode in (names.LIVE, names.SWEEP):
            for statuses in ([], FINISHED["successful"]):
                tags = {names.MODE_TAG: mode, names.STATE_TAG: ours.state_id}
                filters = dg.RunsFilter(job_name=job, tags=tags, statuses=statuses)
                kept |= {run.run_id for run in instance.get_runs(filters=filters, limit=1)}
    return kept


def _remove_leftovers(instance: dg.DagsterInstance, ours: Ours, removed: Removed) -> None:
    """Rows and files of ours whose runs are gone: the rows that were the latest when their run went, and have been
    replaced since, and what is left of runs that were deleted by hand in the UI. What others left is theirs to keep."""
    recorded = Recorded(instance, ours.state_id)
    for some in _batches(_gone(instance, recorded.runs(but=ours.foreign_assets))):
        removed.rows += recorded.forget(some)
    made = RunsMade(ours.work_dir)
    gone = _gone(instance, made.read())
    for run_id in gone:
        _remove_files(instance, run_id, removed)
    made.drop(gone)


def _gone(instance: dg.DagsterInstance, run_ids: set[str]) -> list[str]:
    gone = []
    for some in _batches(sorted(run_ids)):
        there = {run.run_id for run in instance.get_runs(filters=dg.RunsFilter(run_ids=some))}
        gone += [run_id for run_id in some if run_id not in there]
    return gone


def _remove_files(instance: dg.DagsterInstance, run_id: str, removed: Removed) -> None:
    history = history_folder(instance)
    if history is not None:
        for name in (f"{run_id}.db", f"{run_id}.db-wal", f"{run_id}.db-shm"):
            with suppress(FileNotFoundError):
                removed.bytes += (history / name).stat().st_size
                (history / name).unlink()
                removed.files += 1
    folder = Path(instance.storage_directory()) / run_id
    if folder.is_dir():
        removed.bytes += size_of(folder)
        removed.files += 1
        shutil.rmtree(folder, ignore_errors=True)


def _truncate_logs(instance: dg.DagsterInstance) -> None:
    """Fold SQLite's write-ahead logs into their databases; freed pages within those are used again."""
    history = history_folder(instance)
    if history is None:
        return
    root = history.parent.parent
    for path in (root / "history" / "runs.db", history / "index.db", root / "schedules" / "schedules.db"):
        if path.is_file():
            with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path, timeout=5)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a busy one is for tomorrow


def size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _batches(run_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = list(run_ids)
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
