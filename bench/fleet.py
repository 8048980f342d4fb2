"""Twenty sources at 30 s through the whole stack: CPU, memory, and how late ticks are; and from a tick to the SIEM."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.measure import Row
from bench.servers import Servers
from bench.sources import entry
from bench.stack import Stack, a_home

SOURCES = 20
INTERVAL_S = 30
SETTLING_S, MEASURED_S = 75, int(os.environ.get("FLEET_SECONDS", "120"))


def fleet(_events: int) -> Iterator[Row]:
    """Idle with and without the web UI, then busy with 100 events a poll."""
    for path, ui in (("/quiet", True), ("/quiet", False), ("/busy", True)):
        with Servers(keep_bodies=False) as servers:
            sources = [
                entry(servers, name=f"s{number}", path=f"{path}/s{number}", start_from="now", buffer_size=100)
                for number in range(SOURCES)
            ]
            with a_home(sources) as home, Stack(home, ui=ui) as stack:
                time.sleep(SETTLING_S)  # first runs, the run server's start
                before, began, events = stack.usage(), time.time(), servers.tally.events.value
                peak_rss = peak_pss = 0.0
                while time.time() < began + MEASURED_S:
                    time.sleep(10)
                    now = stack.usage()
                    peak_rss, peak_pss = max(peak_rss, now.rss_mb), max(peak_pss, now.pss_mb)
                used = (stack.usage().cpu_s - before.cpu_s) / (time.time() - began)
                late = _lateness(home, began)
                events = servers.tally.events.value - events
        busy = path == "/busy"
        figures: dict[str, Any] = {
            "% of a core": round(used * 100, 1),
            "RSS MB": round(peak_rss),
            "PSS MB": round(peak_pss),
            "tick gap s median/max": f"{statistics.median(late):.1f}/{max(late):.1f}" if late else "-",
            "CPU ms a tick, all in all": round(used * INTERVAL_S / SOURCES * 1000),
            "events": events,
        }
        target = "≤ 50 %" if busy else f"≤ 10 %, ≤ {700 if ui else 450} MB"
        yield Row(
            "20 sources at 30 s", f"{'busy' if busy else 'idle'}, {'with' if ui else 'without'} UI", figures, target
        )


def latency(_events: int) -> Iterator[Row]:
    """An event appears at a quiet vendor; the tick that sees it and the SIEM's acceptance are timed."""
    waits: list[float] = []
    with Servers(keep_bodies=False) as servers:
        source = entry(servers, name="one", path="/one", polling_frequency_ms=5_000, start_from="1h")
        with a_home([source]) as home, Stack(home, ui=False):
            time.sleep(25)
            for number in range(1, 7):
                before = servers.tally.events.value
                servers.emitted.value = number
                deadline_s = time.time() + 40
                while servers.tally.events.value == before and time.time() < deadline_s:
                    time.sleep(0.01)
                assert servers.tally.events.value > before
                accepted_s = servers.tally.last_s.value
                time.sleep(12)  # two quiet ticks: the next one is a probe again
                waits.append(accepted_s - max(at for at in _ticks(home, wanted="SUCCESS") if at <= accepted_s))
    figures = {"median s": round(statistics.median(waits), 2), "max s": round(max(waits), 2), "n": len(waits)}
    yield Row("tick to SIEM", "one event, probed, queued, run, delivered", figures, "≤ 1 s")


def _ticks(home: Path, *, wanted: str | None = None) -> list[float]:
    """Starts of the live sensors' ticks, seconds since the epoch, over all sensors."""
    return [at for ticks in _ticks_by_sensor(home, wanted).values() for at in ticks]


def _ticks_by_sensor(home: Path, wanted: str | None = None) -> dict[str, list[float]]:
    import dagster as dg

    found: dict[str, list[float]] = {}
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        for state in instance.all_instigator_state():
            if state.instigator_name.endswith("_live"):
                ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
                found[state.instigator_name] = sorted(
                    tick.timestamp for tick in ticks if wanted is None or tick.status.value == wanted
                )
    return found


def _lateness(home: Path, since: float) -> list[float]:
    """Gaps between the ticks of each sensor; 30 s were asked for, and the daemon looks every 5 s."""
    return [
        later - earlier
        for ticks in _ticks_by_sensor(home).values()
        for earlier, later in pairwise(ticks)
        if earlier >= since
    ]
