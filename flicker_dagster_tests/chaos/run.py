"""A night of chaos: set the stage, let the plan happen, mend everything, let it drain, count."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from rich.console import Console

from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.chaos.beside import Beside
from flicker_dagster_tests.chaos.drain import drain
from flicker_dagster_tests.chaos.plan import Plan
from flicker_dagster_tests.chaos.saboteur import Saboteur
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
            closing(Beside(Path(home) / "lake", clock=clock)) as beside,
            a_stack(
                Path(home),
                world,
                registry_file=f"s3://{BUCKET}/flicker-registry.json",
                beside=beside.destinations,
                **SOURCE,
            ) as stack,
        ):
            began_ms = int((clock() - HISTORY_S) * 1000)
            saboteur = Saboteur(plan, stack, gate, beside.index.faults)

            def counted() -> list[Line]:
                return lines(world, saboteur.kills_s) + beside.lines(world)

            console.print(
                f"seed {plan.seed}: {len(plan.acts)} acts in {plan.duration_s:g} s, vendors' clocks {plan.skew_s:+g} s"
            )
            saboteur.start()
            _watch(stack, plan.duration_s, counted)
            saboteur.end()
            console.print("Everything is mended, and no more events are emitted; windows are read again …")
            world.stop_emitting()
            green = drain(
                stack, since_ms=began_ms, vendor_now_ms=int(clock() * 1000), report=Reports(counted), count=counted
            )
            found = counted()
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

    def __init__(self, count: Callable[[], list[Line]]) -> None:
        self._count = count
        self._reported_s = 0.0

    def __call__(self, at_s: float) -> None:
        if time.monotonic() - self._reported_s < REPORT_EVERY_S:
            return
        self._reported_s = time.monotonic()
        said = "   ".join(
            f"{each.source} {each.accepted}/{each.emitted}" + (f", {each.otherwise} twice" if each.otherwise else "")
            for each in self._count()
        )
        console.print(f"  {at_s:4.0f} s  {said}", highlight=False)


def _watch(stack: Stack, duration_s: float, count: Callable[[], list[Line]]) -> None:
    report, began_s = Reports(count), time.monotonic()

    def over() -> bool:
        at_s = time.monotonic() - began_s
        report(at_s)
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
