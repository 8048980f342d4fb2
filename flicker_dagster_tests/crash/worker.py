"""One unit of work in a process of its own, which may be told to die on the way."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flicker_dagster import failpoints
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import DeliverError
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.deliver import LiveReport, deliver_live, deliver_window
from flicker_dagster.pipeline.fetch import fetch_live, fetch_window
from flicker_dagster.pipeline.windows import window_of_key
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state import lane_health
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.types import Position

#: Forks of a process that has imported everything and runs no thread: a real process each, without an import each.
PRELOAD = ["flicker_dagster_tests.crash.worker", "boto3", "dagster_aws.s3"]

#: How long one of several lanes rests after its first failure.
REST_MS = 20
#: A process that is at work for longer hangs: it says where, and ends.
HANGS_S = 50


@dataclass(frozen=True)
class Task:
    """What to do: a live poll from a position (None: as a new instance), or the re-read of a window."""

    source: SourceConfig
    state: str
    work_dir: str
    position: Position | None = None
    window: str | None = None
    die_at: str | None = None
    die_at_pass: int = 1
    may_wait: bool = False  # what no SIEM takes for now, or has not confirmed yet, is no failure
    env: dict[str, str] = field(default_factory=dict)


class Workers:
    """Runs tasks in forked processes."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)

    def run(self, task: Task) -> tuple[int | None, Position | None, bool]:
        """Exit code (-9 if it died as told), of a live poll that ended where collection stands (what a materialisation
        would tell the sensor), and whether all lanes have settled everything."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(task, theirs))
        process.start()
        theirs.close()
        process.join(60)
        position, settled = ours.recv() if process.exitcode == 0 else (None, False)
        ours.close()
        return process.exitcode, position, settled


def _work(task: Task, answer: Any) -> None:
    os.environ.update(task.env)
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    if task.die_at is not None:
        failpoints._ARMED = [task.die_at, task.die_at_pass]
    lane_health.FIRST_REST_MS = REST_MS
    layout = StateLayout.of(registry_file=None, state_dir=task.state, work_dir=task.work_dir)
    with SourceWork(task.source, layout) as work, work.exclusive():
        if task.window is None:
            position = task.position or starting_position(work)
            fetch_live(work, position)
            deliver = partial(deliver_live, work)
        else:
            window = window_of_key(task.source.grid, task.window)
            fetch_window(work, window, fresh=True)
            deliver = partial(deliver_window, work, window)
        try:
            report = deliver()
        except DeliverError:
            if not task.may_wait:
                raise
            answer.send((None, False))
        else:
            answer.send((report.end, report.settled) if isinstance(report, LiveReport) else (None, True))
