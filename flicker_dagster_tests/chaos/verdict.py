"""What the vendors emitted against what the SIEM accepted, and whether that is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from flicker_dagster.simulator.receiver import Inbox, Repeat
from flicker_dagster.simulator.world import Row, World

#: From the SIEM's acceptance to our journal, on a machine that is busy with much else, through a spell of slow answers.
ANSWER_TO_JOURNAL_S = 4.0


@dataclass(frozen=True)
class Line:
    """One source. `by_open_arrow` events came again in batches under the same Idempotency-Key with the same bytes, after
    an answer that was cut off or a kill just behind the answer: the one arrow that cannot be closed from outside.
    `otherwise` must be 0."""

    source: str
    emitted: int
    accepted: int
    lost: int
    twice: int
    by_open_arrow: int
    repeated_batches: int

    @property
    def otherwise(self) -> int:
        return max(0, self.twice - self.by_open_arrow)

    @property
    def good(self) -> bool:
        return self.emitted > 0 and self.lost == 0 and self.otherwise == 0


def line(row: Row, inbox: Inbox, kills_s: Sequence[float] = ()) -> Line:
    """Judge one source. `kills_s` is when something was killed (monotonic)."""
    otherwise = inbox.repeated_otherwise
    return Line(
        source=row.source,
        emitted=row.emitted,
        accepted=row.in_siem,
        lost=row.missing,
        twice=row.twice + otherwise,
        by_open_arrow=min(row.twice, sum(each.events for each in inbox.repeats if _excused(each, kills_s))),
        repeated_batches=inbox.repeated_batches,
    )


def _excused(repeat: Repeat, kills_s: Sequence[float]) -> bool:
    return not repeat.answered or any(0 <= at_s - repeat.before_s <= ANSWER_TO_JOURNAL_S for at_s in kills_s)


def lines(world: World, kills_s: Sequence[float] = ()) -> list[Line]:
    return [line(row, world.siem.inbox(f"/{row.source}"), kills_s) for row in world.compare()]


def show(found: list[Line], kills: Counter[str], outages: Counter[str], *, title: str) -> None:
    table = Table(
        "source", "emitted", "accepted", "lost", "twice", "of these by the open arrow", "otherwise", title=title
    )
    for each in found:
        open_arrow = f"{each.by_open_arrow} in {each.repeated_batches} batches"
        figures = (each.emitted, each.accepted, each.lost, each.twice, open_arrow, each.otherwise)
        table.add_row(each.source, *map(str, figures), style="green" if each.good else "red")
    console = Console(width=120)
    console.print(table)
    console.print(f"kills: {sum(kills.values())} ({_counts(kills)})", highlight=False)
    console.print(f"outages and whims: {sum(outages.values())} ({_counts(outages)})", highlight=False)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
