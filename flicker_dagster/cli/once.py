"""`flicker --once`: poll every source once and deliver, without a daemon; the exit code tells."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click

from flicker_dagster.cli.command import defect_told
from flicker_dagster.cli.leftovers import tell_at_start
from flicker_dagster.cli.selection import show_table
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import told
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


@dataclass(frozen=True)
class Polled:
    source: str
    seen: int = 0
    new: int = 0
    delivered: int = 0
    dead: int = 0
    error: str | None = None


def poll_once(settings: Settings, *, kept: bool = True) -> int:
    """0 if every source was polled and delivered, 1 otherwise. Raises ConfigError."""
    config = load_config(settings.config_path)
    if kept:
        tell_at_start(settings, config)
    with ThreadPoolExecutor(THREADS) as pool:
        polled = list(pool.map(lambda source: _poll(source, settings), config.sources))
    columns = ("source", "seen", "new", "delivered", "dead letters", "result")
    rows: list[tuple[object, ...]] = [
        (row.source, row.seen, row.new, row.delivered, row.dead, row.error or "ok") for row in polled
    ]
    show_table("Polled once", columns, rows, empty="no sources")
    if not kept and any(row.delivered + row.dead < row.new for row in polled):
        click.echo(
            "Without --track what was not delivered is dropped here; the next start asks the vendor for it again."
        )
    return 0 if all(row.error is None for row in polled) else 1


def _poll(source: SourceConfig, settings: Settings) -> Polled:
    log.info("Now tailing API source: %s", source.name)
    failed: FlickerError | None = None
    fetched: FetchReport | None = None
    try:
        with settings.work(source) as work, carried_over(work), work.spool.lock():
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
            report = deliver_live(work)
            if rewind is not None:
                finish_rewind(work, rewind, report)
    except Exception as error:  # whatever goes wrong with one source costs no other its poll
        message = told(error, source) if isinstance(error, FlickerError) else f"{source.name}: {defect_told(error)}"
        log.error("%s", message)
        message = message if failed is None else told(failed, source)
        seen, new = (0, 0) if fetched is None else (fetched.tally.seen, fetched.tally.new)
        return Polled(source.name, seen, new, error=message.removeprefix(f"{source.name}: "))
    drained = report.drained
    tally = report.tally
    wrong = told(failed, source).removeprefix(f"{source.name}: ") if failed is not None else None
    doubt = doubt_of(source, tally)
    if doubt is not None:
        log.error("%s", doubt)
        wrong = wrong or doubt.removeprefix(f"{source.name}: ")
    if wrong is None and fetched is not None and fetched.resume_at_ms:
        wrong = fetched.stopped
    dead = drained.dead + tally.set_aside
    return Polled(source.name, tally.seen, tally.new, drained.delivered, dead, error=wrong)
