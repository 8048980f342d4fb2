"""`flicker simulate`: vendors and a SIEM to test against, on your own machine."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.world import DIALECTS, World

SNIPPETS = {
    "okta": ("/api/v1/logs", 'Authorization: "SSWS {token}"', "published"),
    "github": ("/orgs/company/audit-log", 'Authorization: "Bearer {token}"', '"@timestamp"'),
    "salesforce": ("/services/data/v58.0/query", 'Authorization: "Bearer {token}"', "CreatedDate"),
}


class FaultType(click.ParamType):
    """`429` or `429:3`."""

    name = "KIND[:COUNT]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        kind, _, count = str(value).partition(":")
        try:
            return Fault(kind, count=int(count or 1))
        except (ValueError, FlickerError) as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("what", type=click.Choice([*DIALECTS, "siem", "all"]), default="all")
@click.option("--port", default=0, help="Port of the one server named; a free one by default.")
@click.option("--page-port", default=0, help="Port of the live page (with `all`).")
@click.option("--rate", default=1.0, show_default=True, help="Events per second.")
@click.option("--history", default=0.0, help="Hours of past events.")
@click.option("--late", default=0.0, help="Share of events that become visible a minute late.")
@click.option("--duplicate", default=0.0, help="Share of events that a listing shows twice.")
@click.option("--seed", default=0)
@click.option("--token", default="test-token", show_default=True)
@click.option("--fault", multiple=True, type=FaultType(), help="A fault for the next COUNT requests; repeatable.")
@click.option("--journal", type=click.Path(path_type=Path), help="Where the SIEM remembers what it accepted.")
def simulate(
    what: str,
    port: int,
    page_port: int,
    rate: float,
    history: float,
    late: float,
    duplicate: float,
    seed: int,
    token: str,
    fault: tuple[Fault, ...],
    journal: Path | None,
) -> None:
    """Serve simulated vendors and a SIEM until Ctrl-C, and print the configuration to paste."""
    habits = Habits(late_share=late, duplicate_share=duplicate)
    siem = Receiver(journal=journal, port=port if what == "siem" else 0) if what in ("siem", "all") else None
    servers: list[Vendor | Receiver] = [siem] if siem else []
    world = None
    if what == "all":
        tokens = dict.fromkeys(DIALECTS, token)
        world = World(
            rate=rate, history_s=history * 3600, habits=habits, seed=seed, tokens=tokens, siem=siem, page_port=page_port
        )
        servers += world.vendors.values()
    elif what != "siem":
        servers.append(
            DIALECTS[what](token=token, rate=rate, history_s=history * 3600, habits=habits, seed=seed, port=port)
        )
    for server in servers:
        for planned in fault:
            server.faults.plan(planned.kind, count=planned.count)
    for server in servers:
        click.echo(_describe(server, token, siem.url if siem else "http://127.0.0.1:8080"))
    if world is not None:
        click.echo(f"# live page: {world.page.url}")
    _until_asked_to_stop()
    for server in [world] if world else servers:
        server.close()


def _describe(server: Vendor | Receiver, token: str, siem_url: str) -> str:
    if isinstance(server, Receiver):
        return f"# SIEM: {server.url}   what it accepted: {server.url}/_siem/stats"
    path, header, time_field = SNIPPETS[server.name]
    return (
        f"# {server.name}: {server.url}   what it emitted: {server.url}/_sim/emitted\n"
        f"  - name: {server.name}-simulated\n    vendor: {server.name}\n    endpoint: {server.url}{path}\n"
        f"    polling_frequency_ms: 5000\n    headers:\n      {header.format(token=token)}\n"
        f"    timestamp_field: {time_field}\n"
        f"    destination: {{type: http, endpoint: {siem_url}/{server.name}}}"
    )


def _until_asked_to_stop() -> None:
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    stop.wait()
