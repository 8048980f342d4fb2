"""A night of chaos: set the stage, let the plan happen, mend everything, let it drain, count."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from rich.console import Console

from flicker_dagster.config.load import load_config
from flicker_dagster.pipeline.rewind import order_position, position_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.chaos.plan import Plan
from flicker_dagster_tests.chaos.saboteur import Saboteur
from flicker_dagster_tests.chaos.verdict import Line, lines, show
from flicker_dagster_tests.e2e.stack import Stack, a_stack
from flicker_dagster_tests.outages.gate import Gate

BUCKET = "company-logs"
HISTORY_S = 1800
DRAIN_S = 420
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
    """True if nothing was lost, and nothing came twice but by the one arrow that cannot be closed."""
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
            a_stack(Path(home), world, registry_file=f"s3://{BUCKET}/flicker-registry.json", **SOURCE) as stack,
        ):
            saboteur = Saboteur(plan, stack, gate)
            console.print(
                f"seed {plan.seed}: {len(plan.acts)} acts in {plan.duration_s:g} s, vendors' clocks {plan.skew_s:+g} s"
            )
            saboteur.start()
            _watch(stack, plan.duration_s)
            saboteur.end()
            console.print(
                "Everything is mended, and no more events are emitted; what is late is collected by a rewind …"
            )
            world.stop_emitting()
            found = _drain(stack)
            show(found, saboteur.kills, saboteur.outages, title=f"Chaos, seed {plan.seed}, {plan.duration_s:g} s")
    finally:
        gate.close()
        server.stop()
    return all(each.good for each in found)


def _watch(stack: Stack, duration_s: float) -> None:
    began_s = reported_s = time.monotonic()

    def over() -> bool:
        nonlocal reported_s
        now_s = time.monotonic()
        if now_s - reported_s >= REPORT_EVERY_S:
            reported_s = now_s
            _report(now_s - began_s, lines(stack.world))
        return now_s - began_s >= duration_s

    stack.supervisor.watch(until=over)


def _drain(stack: Stack) -> list[Line]:
    """Rewind every source to before it began, as an operator would to have what live polls cannot see; wait for it."""
    layout = stack.settings.layout()
    for source in load_config(stack.settings.config_path).sources:
        with SourceWork(source, layout) as work:
            order_position(work, position_of("4h", now_ms=work.now_ms()), redeliver=False)
    began_s = reported_s = time.monotonic()
    quiet_since_s: float | None = None

    def over() -> bool:
        nonlocal reported_s, quiet_since_s
        now_s = time.monotonic()
        found = lines(stack.world)
        if now_s - reported_s >= REPORT_EVERY_S:
            reported_s = now_s
            _report(now_s - began_s, found)
        if any(each.lost for each in found):
            quiet_since_s = None
        elif quiet_since_s is None:
            quiet_since_s = now_s
        # A while longer: what comes twice, comes when all is there.
        return now_s - began_s > DRAIN_S or (quiet_since_s is not None and now_s - quiet_since_s > 20)

    stack.supervisor.watch(until=over)
    return lines(stack.world)


def _report(at_s: float, found: list[Line]) -> None:
    said = "   ".join(f"{each.source} {each.accepted}/{each.emitted}, {each.otherwise} twice" for each in found)
    console.print(f"  {at_s:4.0f} s  {said}", highlight=False)


def _s3_environment(gate: Gate) -> None:
    os.environ |= {
        "AWS_ENDPOINT_URL": gate.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    boto3.client("s3", endpoint_url=gate.url, region_name="us-east-1").create_bucket(Bucket=BUCKET)
