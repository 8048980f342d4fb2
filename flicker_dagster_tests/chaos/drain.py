"""After the faults: have every window read again as an operator would, and wait until all is green and nothing is missing."""

from __future__ import annotations

import time
from collections.abc import Callable

from flicker_dagster.cli.backfill import launch_backfill, windows_between
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.pipeline.grid import grid_begin_ms
from flicker_dagster.pipeline.rewind import order_position
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.chaos.siems import Siems
from flicker_dagster_tests.chaos.verdict import Line, lines
from flicker_dagster_tests.e2e.stack import Stack

PATIENCE_S = 420
#: All is there; so much longer, for what comes twice comes then.
QUIET_S = 20
LOOK_S = 2

STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    __typename ... on PartitionBackfill { status } } }"""


class WindowRuns:
    """Window runs of one source for `keys`, launched through the web UI; launched anew if a run of them failed."""

    def __init__(self, stack: Stack, source: SourceConfig, keys: list[str]) -> None:
        self.stack, self.source, self.keys = stack, source, keys
        self.green = False
        self.launches = 0
        self._id: str | None = None

    def look(self) -> None:
        """Launch what is not launched, and see whether it has ended. The stack may still be coming up: then look again."""
        try:
            if self._id is None:
                self._id = launch_backfill(self.stack.url, self.source.full_name, self.keys, redeliver=False)
                self.launches += 1
            status = self.stack.graphql(STATUS, id=self._id)["partitionBackfillOrError"].get("status")
        except (FlickerError, OSError, AssertionError):
            return
        self.green = status == "COMPLETED_SUCCESS"
        if status in ("COMPLETED_FAILED", "FAILED", "CANCELED"):
            self._id = None


def drain(
    stack: Stack,
    siems: Siems,
    *,
    since_ms: int,
    vendor_now_ms: int,
    report: Callable[[float, list[Line]], None],
    kills_s: list[float],
) -> bool:
    """Read the closed windows since `since_ms` again, and the open one by a rewind. True if every window turned green.

    A window counts as closed when it is by the vendor's clock and by ours: Dagster's grid ends with ours.
    """
    closed_ms = min(vendor_now_ms, int(time.time() * 1000))
    window_runs = []
    for source in load_config(stack.settings.config_path).sources:
        with SourceWork(source, stack.settings.layout()) as work:
            order_position(work, Position(rfc3339_ms(closed_ms // HOUR_MS * HOUR_MS), None), redeliver=False)
        layout = stack.settings.layout()
        from_ms = max(since_ms, grid_begin_ms(source.grid, layout, now_ms=closed_ms))
        keys = windows_between(source.grid, from_ms, closed_ms, now_ms=closed_ms, layout=layout)
        window_runs.append(WindowRuns(stack, source, keys))
    began_s = looked_s = time.monotonic()
    quiet_since_s: float | None = None

    def over() -> bool:
        nonlocal looked_s, quiet_since_s
        now_s = time.monotonic()
        if now_s - looked_s < LOOK_S:
            return False
        looked_s = now_s
        for each in window_runs:
            if not each.green:
                each.look()
        found = lines(stack.world, siems, kills_s)
        report(now_s - began_s, found)
        if any(each.lost for each in found) or not all(each.green for each in window_runs):
            quiet_since_s = None
        elif quiet_since_s is None:
            quiet_since_s = now_s
        return now_s - began_s > PATIENCE_S or (quiet_since_s is not None and now_s - quiet_since_s > QUIET_S)

    stack.supervisor.watch(until=over)
    return all(each.green for each in window_runs)
