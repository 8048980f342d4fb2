"""A month of polling in a minute: `python -m flicker_dagster_tests.orchestration.month` prints the disk's use by day.

Runs, their events, ticks and ledger shards are written by Dagster's and Flicker's own storage into a real SQLite
instance; only the work of a run is left out. One source is polled a few times a day instead of thousands of times.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import msgspec
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.events import DagsterEventType as Kind
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.test_utils import freeze_time

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import WindowConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.maintenance import maintain
from flicker_dagster.orchestration.run_retention import Ours, size_of
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.windows import DAY_MS, HOUR_MS, closed_windows, shard_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position, Window

DAYS = 30
#: Windows of one sweep run: all of a day's are swept, in so few runs that a month takes a minute.
SWEPT_TOGETHER = 8
LIVE_RUNS, TICKS = 2, 8


class Day(msgspec.Struct, frozen=True):
    """The disk at the end of a day, in bytes, and what maintenance said."""

    number: int
    run_files: int
    index: int
    runs_db: int
    ticks_db: int
    state: int
    removed: dict[str, int]

    @property
    def total(self) -> int:
        return self.run_files + self.index + self.runs_db + self.ticks_db + self.state


class Month:
    """One source on an instance in a directory; `pass_day` is a day of it, maintenance at its end."""

    def __init__(self, home: Path, *, window: Literal["hour", "day"] = "hour") -> None:
        self.home = home
        self.source = SourceConfig(
            name="plain",
            endpoint="http://127.0.0.1:9/events",
            polling_frequency_ms=30_000,
            timestamp_field="time",
            window=WindowConfig(size=window),
            destination=HttpDestination(type="http", endpoint="http://127.0.0.1:9/siem"),
        )
        self.config = FlickerConfig(
            path="config.yaml",
            sources=[self.source],
            ledger_retention_ms=8 * DAY_MS,
            failed_run_retention_ms=9 * DAY_MS,
        )
        self.asset = names.asset_key(self.source.full_name)
        self.now_s = datetime.now(tz=timezone.utc).replace(hour=0, minute=0).timestamp() - (DAYS + 1) * 86_400
        (home / "dagster").mkdir()
        self.instance = dg.DagsterInstance.local_temp(str(home / "dagster"))
        self.ours = Ours.of(self.config, self.work().layout, names.MAINTENANCE)
        self.swept: list[str] = []
        self.days: list[Day] = []
        starting_position(self.work())

    def work(self) -> SourceWork:
        layout = StateLayout.of(None, self.home / "state", self.home / "work")
        return SourceWork(self.source, layout, clock=lambda: self.now_s)

    def pass_day(self) -> Day:
        began_ms = int(self.now_s * 1000)
        self.now_s += 86_400
        with freeze_time(self.now_s):
            for number in range(LIVE_RUNS):
                self._live(began_ms + number * 12 * HOUR_MS)
            closed = closed_windows(self.source.window, began_ms - DAY_MS, began_ms + DAY_MS - HOUR_MS)
            fresh = [window for window in closed if window.key not in self.swept]
            for start in range(0, len(fresh), SWEPT_TOGETHER):
                self._sweep(fresh[start : start + SWEPT_TOGETHER])
            self._fail()
            self._ticks()
            removed = maintain(self.instance, self.config, [self.work()], self.ours, now_s=self.now_s)
        day = self._measured(removed)
        self.days.append(day)
        return day

    def _live(self, at_ms: int) -> None:
        with self._run(names.LIVE) as report, self.work() as work:
            blob = b"".join(uuid.uuid4().bytes for _ in range(200))
            work.lanes[0].ledger.add({shard_of(at_ms + hour * HOUR_MS): blob for hour in range(12)})
            seen = work.registry.position("plain")
            work.registry.commit("plain", Position(rfc3339_ms(at_ms + 12 * HOUR_MS)), seen=seen)
            self._materialise(report, None, {names.NEW_KEY: 200})
            self._check(report)

    def _sweep(self, windows: list[Window]) -> None:
        with self._run(names.SWEEP) as report:
            for window in windows:
                verified = {names.SEEN_KEY: 200, names.NEW_KEY: 0, names.VERIFIED_KEY: self.now_s}
                self._materialise(report, window.key, verified)
                self.swept.append(window.key)
            self._check(report)

    def _check(self, report: Any) -> None:
        """Every run evaluates both checks."""
        for name in (names.CHECK_COMPLETE, names.CHECK_DELIVERED):
            planned = AssetCheckEvaluationPlanned(asset_key=self.asset, check_name=name)
            report(Kind.ASSET_CHECK_EVALUATION_PLANNED, planned)
            found = AssetCheckEvaluation(
                asset_key=self.asset,
                check_name=name,
                passed=True,
                metadata=self._mark(),
                description="words of a check " * 10,
            )
            report(Kind.ASSET_CHECK_EVALUATION, found)

    def _mark(self) -> dict[str, dg.MetadataValue]:
        return {names.STATE_TAG: dg.MetadataValue.text(self.ours.state_id)}

    def _fail(self) -> None:
        with self._run(names.LIVE, ends=Kind.RUN_FAILURE):
            pass

    def _materialise(self, report: Any, partition: str | None, metadata: dict[str, Any]) -> None:
        report(Kind.ASSET_MATERIALIZATION_PLANNED, AssetMaterializationPlannedData(self.asset, partition=partition))
        version = names.data_version(self.ours.state_id, str(uuid.uuid4()))
        tags = {names.DATA_VERSION_TAG: version}
        made = dg.AssetMaterialization(self.asset, partition=partition, metadata=metadata, tags=tags)
        report(Kind.ASSET_MATERIALIZATION, StepMaterializationData(made))

    @contextmanager
    def _run(self, mode: str, *, ends: Kind = Kind.RUN_SUCCESS) -> Iterator[Any]:
        """A run of the source's job as storage sees it; gives the function that records an event of it."""
        tags = names.run_tags(self.source.full_name, self.ours.state_id, mode)
        run = dg.DagsterRun(job_name=names.job_name(self.source.full_name), run_id=str(uuid.uuid4()), tags=tags)
        self.instance.add_run(run)

        def report(kind: Kind, data: Any = None) -> None:
            event = DagsterEvent(kind.value, run.job_name, event_specific_data=data, message="words of an event " * 10)
            self.instance.report_dagster_event(event, run.run_id)

        report(Kind.RUN_START)
        yield report
        folder = Path(self.instance.storage_directory()) / run.run_id
        folder.mkdir(parents=True)
        (folder / "compute.log").write_text("a line\n" * 500)
        report(ends)

    def _ticks(self) -> None:
        for _ in range(TICKS):
            self.instance.create_tick(
                TickData("origin", "plain_live", InstigatorType.SENSOR, TickStatus.SKIPPED, self.now_s, selector_id="s")
            )
        for status in (TickStatus.SKIPPED, TickStatus.SUCCESS):  # the daemon does this by `retention` in dagster.yaml
            self.instance.purge_ticks("origin", "s", self.now_s - 86_400, [status])

    def _measured(self, removed: dict[str, int]) -> Day:
        dagster = self.home / "dagster"
        runs = dagster / "history" / "runs"
        index = _database(runs / "index.db")
        return Day(
            number=len(self.days) + 1,
            run_files=size_of(runs) - index + size_of(dagster / "storage"),
            index=index,
            runs_db=_database(dagster / "history" / "runs.db"),
            ticks_db=_database(dagster / "schedules" / "schedules.db"),
            state=size_of(self.home / "state"),
            removed=removed,
        )


def _database(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        month = Month(Path(home))
        print(" day     total  run files  index.db   runs.db  ticks.db     state  runs removed, bytes freed")
        for _ in range(DAYS):
            d = month.pass_day()
            sizes = "".join(f"{size:10,}" for size in (d.total, d.run_files, d.index, d.runs_db, d.ticks_db, d.state))
            print(f"{d.number:4}{sizes}  {d.removed['runs']}, {d.removed['bytes freed']:,}", flush=True)


if __name__ == "__main__":
    main()
