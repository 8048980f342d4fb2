"""`flicker --once`: poll every source once and deliver, without a daemon; the exit code tells."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click

from flicker_dagster.cli.command import defect_told
from flicker_dagster.cli.leftovers import tell_at_start
from flicker_dagster.cli.tables import show_table
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import told
from flicker_dagster.deliver.report import LaneReport
from flicker_dagster.errors import CollectError, FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.carry_over import carried_over
from flicker_dagster.pipeline.deliver import deliver_live, waiting_events
from flicker_dagster.pipeline.doubts import doubt_of
from flicker_dagster.pipeline.fetch import FetchReport, fetch_live
from flicker_dagster.pipeline.rewind import finish_rewind

log = logging.getLogger("flicker.once")

#: Sources polled at the same time; a slow one holds only its own thread.
THREADS = 8


#: How long a destination that confirms later is waited for: nothing asks again before the next `--once`.
CONFIRMED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Polled:
    """What became of a source; `lanes` where it was delivered, in their order. `undelivered`: something was fetched and did
    not arrive."""

    source: str
    seen: int = 0
    new: int = 0
    lanes: Sequence[LaneReport] = ()
    required: Collection[str] = ("",)
    set_aside: int = 0
    error: str | None = None

    @property
    def undelivered(self) -> bool:
        return self.new > 0 and (not self.lanes or not all(lane.done for lane in self.lanes))

    @property
    def failed(self) -> bool:
        unsettled = [lane for lane in self.lanes if lane.lane in self.required and not lane.done]
        return self.error is not None or bool(unsettled)

    def rows(self) -> list[tuple[object, ...]]:
        """One, and one more for each of several destinations."""
        if len(self.lanes) < 2:
            lane = self.lanes[0] if self.lanes else LaneReport()
            result = self.error or self._result(lane)
            return [(self.source, self.seen, self.new, lane.delivered, lane.dead + self.set_aside, result)]
        rows: list[tuple[object, ...]] = [(self.source, self.seen, self.new, None, None, self.error or "ok")]
        for lane in self.lanes:
            dead = lane.dead + self.set_aside
            rows.append((f"{self.source}@{lane.lane}", None, None, lane.delivered, dead, self._result(lane)))
        return rows

    def _result(self, lane: LaneReport) -> str:
        found = []
        if lane.failed is not None:
            where = f"{self.source}@{lane.lane}" if lane.lane else self.source
            found.append(lane.failed.one_line(where).removeprefix(f"{where}: "))
        if lane.awaiting:
            found.append(f"{lane.awaiting} events were taken and are not confirmed yet")
        if lane.waiting:
            found.append(f"{lane.waiting} events wait")
        words = "; ".join(found) or "ok"
        return words if lane.done or lane.lane in self.required else f"{words} (best effort)"


def poll_once(settings: Settings, *, kept: bool = True) -> int:
    """0 if every source was polled and delivered to every destination that is required, 1 otherwise. Raises ConfigError."""
    config = load_config(settings.config_path)
    if kept:
        tell_at_start(settings, config)
    with ThreadPoolExecutor(THREADS) as pool:
        polled = list(pool.map(lambda source: _poll(source, settings), config.sources))
    columns = ("source", "seen", "new", "delivered", "dead letters", "result")
    show_table("Polled once", columns, [row for each in polled for row in each.rows()], empty="no sources")
    if not kept and any(each.undelivered for each in polled):
        click.echo(
            "Without --track what was not delivered is dropped here; the next start asks the vendor for it again."
        )
    return 1 if any(each.failed for each in polled) else 0


def _poll(source: SourceConfig, settings: Settings) -> Polled:
    log.info("Now tailing API source: %s", source.name)
    failed: FlickerError | None = None
    fetched: FetchReport | None = None
    try:
        with settings.work(source) as work, carried_over(work), work.exclusive():
            position, rewind = starting_position(work), work.rewinds.standing()
            try:
                if rewind is None:
                    fetched = fetch_live(work, position)
                else:
                    fetched = fetch_live(work, rewind.position, redeliver=rewind.redeliver)
            except CollectError as error:  # what was read before must not wait for the vendor's recovery
                if not waiting_events(work):
                    raise
                failed = error
                log.error("%s", told(error, source))
            report = deliver_live(work, wait_for_receipts_s=CONFIRMED_WITHIN_S)
            if rewind is not None:
                finish_rewind(work, rewind, report)
    except Exception as error:  # whatever goes wrong with one source costs no other its poll
        message = told(error, source) if isinstance(error, FlickerError) else f"{source.name}: {defect_told(error)}"
        log.error("%s", message)
        message = message if failed is None else told(failed, source)
        seen, new = (0, 0) if fetched is None else (fetched.tally.seen, fetched.tally.new)
        return Polled(source.name, seen, new, error=message.removeprefix(f"{source.name}: "))
    tally = report.tally
    wrong = told(failed, source).removeprefix(f"{source.name}: ") if failed is not None else None
    doubt = doubt_of(source.listing, tally)
    if doubt is not None:
        log.error("%s", doubt)
        wrong = wrong or doubt.removeprefix(f"{source.name}: ")
    if wrong is None and fetched is not None and fetched.resume_at_ms:
        wrong = fetched.stopped
    required = [name for name, record in source.lanes.items() if record.required]
    return Polled(source.name, tally.seen, tally.new, report.lanes, required, tally.set_aside, error=wrong)
