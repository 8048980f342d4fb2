"""`flicker position show | set | rewind`: where live collection stands, and moving it by hand.

The order reaches Flicker whether it runs or not, on this machine or another: see `state/rewinds.py`.
"""

from __future__ import annotations

from typing import Any

import click
import msgspec

from flicker_dagster.cli.command import FlickerGroup
from flicker_dagster.cli.lags import lag, lag_ms
from flicker_dagster.cli.options import Moment, Span, json_option
from flicker_dagster.cli.selection import open_work, sources_named
from flicker_dagster.cli.tables import show_json, show_table
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.rewind import (
    order_position,
    position_before,
    position_from_history,
    position_of,
)
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.position_history import SavedPosition
from flicker_dagster.state.rewinds import Rewind
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
@json_option
@click.pass_obj
def show_command(settings: Settings, source: str | None, as_json: bool) -> None:
    """Positions and how far each lies behind; with a SOURCE its earlier positions too."""
    works = [settings.work(configured) for configured in sources_named(settings, source)]
    history = None if source is None else works[0].history.read(works[0].source.name)
    stands = {work.source.name: work.registry.position(work.source.name) for work in works}
    orders = {work.source.name: work.rewinds.standing() for work in works}
    where, now_ms = works[0].registry.where, works[0].now_ms()
    if as_json:
        found = [_as_json(name, position, orders[name], now_ms) for name, position in stands.items()]
        if history is not None:
            found[0]["history"] = [_saved_as_json(saved) for saved in history]
        show_json({"registry": where, "sources": found})
        return
    rows: list[tuple[object, ...]] = []
    for name, position in stands.items():
        at, order = position or Position(), orders[name]
        ordered = "" if order is None else f"goes on from {order.last_timestamp}"
        rows.append(
            (name, at.last_timestamp or "nothing collected yet", at.cursor, lag(at.last_timestamp, now_ms), ordered)
        )
    show_table("Positions", ("source", "position", "cursor", "lag", "ordered by hand"), rows, empty="no sources")
    click.echo(f"registry: {where}")
    if history is not None:
        _show_history(str(source), history)


def _as_json(name: str, position: Position | None, order: Rewind | None, now_ms: int) -> dict[str, Any]:
    return {
        "source": name,
        "position": None if position is None else msgspec.to_builtins(position),
        "lag_ms": None if position is None else lag_ms(position.last_timestamp, now_ms),
        "ordered": None
        if order is None
        else {
            "position": msgspec.to_builtins(order.position),
            "redeliver": order.redeliver,
            "ordered_at": rfc3339_ms(order.ordered_at_ms),
        },
    }


def _saved_as_json(saved: SavedPosition) -> dict[str, Any]:
    return {
        "number": saved.number,
        "position": msgspec.to_builtins(saved.position),
        "saved_at": rfc3339_ms(saved.saved_at_ms),
        "by_hand": saved.by_hand,
    }


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


def _show_history(name: str, history: list[SavedPosition]) -> None:
    rows: list[tuple[object, ...]] = [
        (
            saved.number,
            saved.position.last_timestamp,
            saved.position.cursor,
            rfc3339_ms(saved.saved_at_ms),
            "left by hand" if saved.by_hand else "",
        )
        for saved in history
    ]
    columns = ("number", "position", "cursor", "saved at", "")
    show_table(f"Earlier positions of {name}", columns, rows, empty="no earlier positions")
