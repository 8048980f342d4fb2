"""A night of chaos: set the stage, let the plan happen, mend everything, let it drain, count."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import closing
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from rich.console import Console

from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.chaos.drain import drain
from flicker_dagster_tests.chaos.plan import Plan
from flicker_dagster_tests.chaos.saboteur import Saboteur
from flicker_dagster_tests.chaos.siems import Siems
from flicker_dagster_tests.chaos.surprises import surprises
from flicker_dagster_tests.chaos.verdict import Line, lines, show
from flicker_dagster_tests.e2e.stack import Stack, a_stack
from flicker_dagster_tests.outages.gate import Gate

BUCKET = "chaos-logs"  # in one process all of moto's servers share their buckets
#: At least one hour has closed, by our clock too where the vendors' is ahead: there is a window to read again.
HISTORY_S = 7500
REPORT_EVERY_S = 15

#: Some events a minute late, some rows twice in a listing, many with equal times.
HABITS = Habits(late_share=0.05, late_s=45.0, duplicate_share=0.03, tie_ms=500)

SOURCE = {
    "start_from": "4h",
    "retry": {"max_retries": 2, "initial_delay_ms": 300, "max_delay_ms": 2_000},
    "limits": {"max_wait_ms": 5_000},
    "buffer_size": 20,
}

console = Console(stderr=True, width=140)


def run_chaos(plan: Plan, *, rate: float = 4.0) -> bool:
    """True if nothing was lost, nothing came twice but by the one arrow that cannot be closed, the windows read
    again are green, and no tick or step failed but by an outage."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request to S3
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    gate = Gate(*server.get_host_and_port())
    _s3_environment(gate)
    clock = lambda: time.time() + plan.skew_s  # noqa: E731
    try:
        with (
            tempfile.TemporaryDirectory(prefix="flicker-chaos-") as home,
            World(rate=rate, history_s=HISTORY_S, habits=HABITS, seed=plan.seed, clock=clock) as world,
            closing(Siems(world.siem, Path(home) / "lake", seed=plan.seed, clock=clock)) as siems,
            a_stack(
                Path(home),
                world,
                destinations=siems.destinations,
                registry_file=f"s3://{BUCKET}/flicker-registry.json",
                **SOURCE,
            ) as stack,
        ):
            began_ms = int((clock() - HISTORY_S) * 1000)
            saboteur = Saboteur(plan, stack, gate, siems)
            console.print(
                f"seed {plan.seed}: {len(plan.acts)} acts in {plan.duration_s:g} s, vendors' clocks {plan.skew_s:+g} s"
            )
            saboteur.start()
            _watch(stack, siems, plan.duration_s, saboteur.kills_s)
            saboteur.end()
            console.print("Everything is mended, and no more events are emitted; windows are read again …")
            world.stop_emitting()
            green = drain(
                stack,
                siems,
                since_ms=began_ms,
                vendor_now_ms=int(clock() * 1000),
                report=Reports(),
                kills_s=saboteur.kills_s,
            )
            found = lines(world, siems, saboteur.kills_s)
            show(found, saboteur.kills, saboteur.outages, title=f"Chaos, seed {plan.seed}, {plan.duration_s:g} s")
            surprised = surprises(stack.supervisor.home)
            console.print(f"windows read again: {'all green' if green else 'NOT ALL GREEN'}", highlight=False)
            for error, count in surprised.most_common():
                console.print(f"unexpected error, {count} times: {error}", style="red", highlight=False, markup=False)
    finally:
        gate.close()
        server.stop()
    return green and not surprised and all(each.good for each in found)


class Reports:
    """How far it is, every so often."""

    def __init__(self) -> None:
        self._reported_s = 0.0

    def __call__(self, at_s: float, found: list[Line]) -> None:
        if time.monotonic() - self._reported_s < REPORT_EVERY_S:
            return
        self._reported_s = time.monotonic()
        lanes = dict.fromkeys(each.lane for each in found)
        said = "   ".join(_said(lane, [each for each in found if each.lane == lane]) for lane in lanes)
        console.print(f"  {at_s:4.0f} s  {said}", highlight=False)


def _said(lane: str, found: list[Line]) -> str:
    accepted, emitted = sum(each.accepted for each in found), sum(each.emitted for each in found)
    return f"{lane} {accepted}/{emitted}, {sum(each.otherwise for each in found)} twice"


def _watch(stack: Stack, siems: Siems, duration_s: float, kills_s: list[float]) -> None:
    report, began_s = Reports(), time.monotonic()

    def over() -> bool:
        at_s = time.monotonic() - began_s
        report(at_s, lines(stack.world, siems, kills_s))
        return at_s >= duration_s

    stack.supervisor.watch(until=over)


def _s3_environment(gate: Gate) -> None:
    os.environ |= {
        "AWS_ENDPOINT_URL": gate.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    boto3.client("s3", endpoint_url=gate.url, region_name="us-east-1").create_bucket(Bucket=BUCKET)
