"""Run by the crash tests in a process of its own: takes one event through the state floor, and dies on the way.

Usage: crash_child.py <directory>. Prints nothing; the parent looks at what is left on the disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flicker_dagster.state.digests import DigestSet, split
from flicker_dagster.state.layout import StateLayout
from flicker_dagster_tests.state.builders import at, letter, lot, settled, state

WINDOW = "2025-12-17T15"


def work(directory: Path) -> None:
    """Fetch two pages, deliver, commit, and drop a finished window unit; all of it may be done again at any time."""
    layout = StateLayout.of(None, directory / "state", directory / "work")
    registry, ledger, spool = layout.registry(), layout.ledger("okta"), layout.spool("okta")
    with spool.lock():
        seen = registry.position("okta")
        unit = spool.unit("live")
        waiting = DigestSet(unit.digests().get(WINDOW, b""))
        for number, page in enumerate([lot("a"), lot("b")], start=1):
            ids = split(page.digests[WINDOW])
            is_new = ledger.known(WINDOW).unknown(ids) and waiting.unknown(ids)
            unit.append([page] if is_new else [], state(0, number))
        unit.sync()
        lane = unit.lane("")
        for each in lane.pending():
            with open(directory / "siem", "a") as siem:
                siem.write(f"{each.lot_id}\n")
            if each.lot_id == "b":
                layout.dead_letters("okta").add([letter(lot_id="b")])
            lane.settle(each, settled(each))
        ledger.add(unit.digests())
        registry.commit("okta", at(9), seen=seen)
        unit.clear(state(9))
        window = spool.unit("2025-12-17-15:00")
        window.append([], state())
        window.remove()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
