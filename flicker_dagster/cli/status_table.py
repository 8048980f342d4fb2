"""Where all sources stand, as a table: the streams of one stand below it. Where the terminal is too narrow for that, a block
for each source, with a line for each of its streams. Causes of failures are sentences, and stand below the table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import click

from flicker_dagster.cli.source_status import SourceStatus
from flicker_dagster.cli.tables import show_block, show_wide_table
from flicker_dagster.printable import visible

COLUMNS = ("source", "position", "lag", "last run", "waiting", "dead letters", "verified windows")

Group = list[SourceStatus]


def show_statuses(found: Sequence[SourceStatus], *, dagster_ran: bool) -> None:
    groups = [list(group) for _, group in groupby(found, key=lambda each: each.source_name or each.source)]
    if not groups:
        click.echo("no sources")
        return
    rows = [row for group in groups for row in _rows(group, dagster_ran=dagster_ran)]
    if show_wide_table("Status", COLUMNS, rows):
        for each in found:
            if each.cause is not None:
                click.echo(visible(_cause_line(each.source, each.cause)))
        return
    click.echo("Status")
    for group in groups:
        _show_group(group, dagster_ran=dagster_ran)
    click.echo()


def _rows(group: Group, *, dagster_ran: bool) -> list[tuple[object, ...]]:
    if len(group) == 1:
        return [_row(group[0], group[0].source, dagster_ran=dagster_ran)]
    return [_head(group), *(_row(each, f"  {each.stream}", dagster_ran=dagster_ran) for each in group)]


def _row(status: SourceStatus, name: str, *, dagster_ran: bool) -> tuple[object, ...]:
    if status.error is not None:
        return (name, "cannot be read")
    return (
        name,
        status.position_words(),
        status.lag_words(),
        status.run_words(dagster_ran=dagster_ran),
        status.waiting_events,
        status.dead_letters,
        status.verified_words(dagster_ran=dagster_ran),
    )


def _head(group: Group) -> tuple[object, ...]:
    """What is true of all streams of a source together: sums, and how many there are."""
    waiting = [each.waiting_events for each in group if each.waiting_events is not None]
    dead = [each.dead_letters for each in group if each.dead_letters is not None]
    of_all = (sum(waiting) if waiting else None, sum(dead) if dead else None)
    return (group[0].source_name, f"{len(group)} streams", "", "", *of_all, "")


def _show_group(group: Group, *, dagster_ran: bool) -> None:
    if len(group) == 1:
        [row] = _rows(group, dagster_ran=dagster_ran)
        cells = ["" if cell is None else str(cell) for cell in row]
        show_block((*COLUMNS, "cause"), (*cells, *[""] * (len(COLUMNS) - len(cells)), group[0].cause or ""))
        return
    head = tuple("" if cell is None else str(cell) for cell in _head(group))
    of_all = {"source": f"{head[0]}, {head[1]}", "waiting": head[4], "dead letters": head[5]}
    of_each = {f"  {each.stream}": _in_a_line(each, dagster_ran=dagster_ran) for each in group}
    lines = of_all | of_each
    show_block(tuple(lines), tuple(lines.values()))


def _in_a_line(status: SourceStatus, *, dagster_ran: bool) -> str:
    if status.error is not None:
        return f"cannot be read: {status.error}"
    why = f": {status.cause}" if status.cause else ""
    lag, run = status.lag_words(), status.run_words(dagster_ran=dagster_ran)
    waiting, dead = status.waiting_events, status.dead_letters
    verified = status.verified_words(dagster_ran=dagster_ran)
    said = [
        f"{status.position_words()}{f', lag {lag}' if lag else ''}",
        f"last run {run}{why}" if run else "",
        f"{waiting} waiting" if waiting else "",
        f"{dead} dead letters" if dead else "",
        f"verified windows {verified}" if verified else "",
    ]
    return "; ".join(each for each in said if each)


def _cause_line(source: str, cause: str) -> str:
    return cause if cause.startswith(f"{source}: ") else f"{source}: {cause}"
