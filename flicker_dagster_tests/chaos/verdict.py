"""What the vendors emitted against what each SIEM accepted, and whether that is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from flicker_dagster.cli.demo import NAMES
from flicker_dagster.simulator.comparison import Row
from flicker_dagster.simulator.receiver import Inbox, Repeat
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.chaos.siems import EXPIRES_MS, Siems, dataset
from flicker_dagster_tests.siems import Deaths, Splunk, doubles, unexcused

#: From the SIEM's acceptance to our journal, on a machine that is busy with much else, through a spell of slow answers.
ANSWER_TO_JOURNAL_S = 4.0


@dataclass(frozen=True)
class Line:
    """One source in one lane. `by_open_arrow` events came again because they had to: http, in batches under the same
    Idempotency-Key with the same bytes, after an answer that was cut off or a kill just behind the answer: the one arrow
    that cannot be closed from outside; splunk_hec, after the same, or because they were never confirmed; elasticsearch and
    what else knows events by their ids: none. `otherwise` must be 0."""

    lane: str
    source: str
    emitted: int
    accepted: int
    lost: int
    twice: int
    by_open_arrow: int

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
        lane="http",
        source=row.source,
        emitted=row.emitted,
        accepted=row.in_siem,
        lost=row.missing,
        twice=row.twice + otherwise,
        by_open_arrow=min(row.twice, sum(each.events for each in inbox.repeats if _excused(each, kills_s))),
    )


def counted(lane: str, source: str, listed: set[str], counts: Counter[str], *, by_open_arrow: int = 0) -> Line:
    """Judge one source in a lane that counts events by the vendor's id."""
    return Line(
        lane=lane,
        source=source,
        emitted=len(listed),
        accepted=len(counts),
        lost=len(listed - counts.keys()),
        twice=doubles(counts),
        by_open_arrow=by_open_arrow,
    )


def _excused(repeat: Repeat, kills_s: Sequence[float]) -> bool:
    return not repeat.answered or any(0 <= at_s - repeat.before_s <= ANSWER_TO_JOURNAL_S for at_s in kills_s)


def lines(world: World, siems: Siems, kills_s: Sequence[float] = ()) -> list[Line]:
    """Every source in every lane."""
    found = []
    for name, vendor in world.vendors.items():
        source = NAMES[name]
        documents, indexed = siems.elastic.events(dataset(source)), siems.splunk.events(source)
        written = siems.written(source)
        listed = {event.id for event in vendor.emitter.emitted() if vendor.is_listed("", event.body)}
        found.append(counted("elasticsearch", name, listed, documents))
        found.append(counted("file", name, listed, written))
        found.append(
            counted("splunk_hec", name, listed, indexed, by_open_arrow=_excused_of(siems.splunk, source, kills_s))
        )
    return [*(line(row, world.siem.inbox(f"/{row.source}"), kills_s) for row in world.compare()), *found]


def _excused_of(splunk: Splunk, source: str, kills_s: Sequence[float]) -> int:
    repeats = splunk.repeats(source)
    left = unexcused(
        repeats,
        deaths=Deaths(at_s=kills_s, grace_s=ANSWER_TO_JOURNAL_S),
        expires_s=EXPIRES_MS / 1000,
        spoilt=splunk.spoilt(),
    )
    return len(repeats) - len(left)


def show(found: list[Line], kills: Counter[str], outages: Counter[str], *, title: str) -> None:
    table = Table(
        "lane", "source", "emitted", "accepted", "lost", "twice", "of these it had to", "otherwise", title=title
    )
    for each in sorted(found, key=lambda each: each.lane):
        figures = (each.emitted, each.accepted, each.lost, each.twice, each.by_open_arrow, each.otherwise)
        table.add_row(each.lane, each.source, *map(str, figures), style="green" if each.good else "red")
    console = Console(width=120)
    console.print(table)
    console.print(f"kills: {sum(kills.values())} ({_counts(kills)})", highlight=False)
    console.print(f"outages and whims: {sum(outages.values())} ({_counts(outages)})", highlight=False)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
