"""`flicker position show | set | rewind`: where live collection stands, and moving it by hand.

The order reaches Flicker whether it runs or not, on this machine or another: see `state/rewinds.py`.
"""

from __future__ import annotations

import click

from flicker_dagster.cli.command import FlickerGroup
from flicker_dagster.cli.options import Moment, Span
from flicker_dagster.cli.selection import lag, open_work, show_table, sources_named
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.rewind import (
    order_position,
    position_before,
    position_from_history,
    position_of,
)
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position

redeliver_option = click.option(
    "--redeliver", is_flag=True, help="Ship everything again up to where collection stood, not only what is missing."
)


@click.group(cls=FlickerGroup)
def position() -> None:
    """Where live collection of each source stands; earlier positions; moving it."""


@position.command("show")
@click.argument("source", required=False)
@click.pass_obj
def show_command(settings: Settings, source: str | None) -> None:
    """Positions and how far each lies behind; with a SOURCE its earlier positions too."""
    sources = sources_named(settings, source)
    rows: list[tuple[object, ...]] = []
    where = ""
    for configured in sources:
        work = settings.work(configured)
        where = work.registry.where
        stands = work.registry.position(configured.name) or Position()
        rewind = work.rewinds.standing()
        ordered = "" if rewind is None else f"goes on from {rewind.last_timestamp}"
        shown = stands.last_timestamp or "nothing collected yet"
        rows.append((configured.name, shown, stands.cursor, lag(stands.last_timestamp, work.now_ms()), ordered))
    show_table("Positions", ("source", "position", "cursor", "lag", "ordered by hand"), rows, empty="no sources")
    click.echo(f"registry: {where}")
    if source is not None:
        _show_history(settings.work(sources[0]))


@position.command("set")
@click.argument("source")
@click.argument("time", required=False, type=Moment())
@click.option(
    "--from-history",
    type=click.IntRange(min=1),
    metavar="N",
    help="An earlier position by its number in `position show`.",
)
@redeliver_option
@click.pass_obj
def set_command(settings: Settings, source: str, time: str | None, from_history: int | None, redeliver: bool) -> None:
    """Let SOURCE go on from TIME (an ISO time, an age such as 2h, or now), or from an earlier position."""
    if (time is None) == (from_history is None):
        raise click.UsageError("give either TIME or --from-history N")
    with open_work(settings, source) as work:
        if from_history is not None:
            chosen = position_from_history(work, from_history)
        else:
            chosen = position_of(time or "", now_ms=work.now_ms())
        _order(work, chosen, redeliver)


@position.command("rewind")
@click.argument("age", type=Span())
@click.argument("source")
@redeliver_option
@click.pass_obj
def rewind_command(settings: Settings, age: str, source: str, redeliver: bool) -> None:
    """Let SOURCE go on from AGE (such as 2h) before the position where it stands."""
    with open_work(settings, source) as work:
        _order(work, position_before(work, age), redeliver)


def _order(work: SourceWork, chosen: Position, redeliver: bool) -> None:
    rewind = order_position(work, chosen, redeliver=redeliver)
    name = work.source.name
    what = "everything since is shipped again" if redeliver else "what is missing since is delivered"
    click.echo(f"{name}: goes on from {rewind.last_timestamp} with the next poll; {what}")
    kept = next((saved for saved in work.history.read(name) if saved.by_hand), None)
    if kept is not None:
        click.echo(f"to go back: flicker position set {name} --from-history {kept.number}")


def _show_history(work: SourceWork) -> None:
    rows: list[tuple[object, ...]] = [
        (
            saved.number,
            saved.position.last_timestamp,
            saved.position.cursor,
            rfc3339_ms(saved.saved_at_ms),
            "left by hand" if saved.by_hand else "",
        )
        for saved in work.history.read(work.source.name)
    ]
    columns = ("number", "position", "cursor", "saved at", "")
    show_table(f"Earlier positions of {work.source.name}", columns, rows, empty="no earlier positions")
