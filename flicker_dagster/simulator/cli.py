"""`flicker simulate`: vendors and a SIEM to test against, on your own machine."""

from __future__ import annotations

import math
import signal
import threading
from pathlib import Path
from typing import Any

import click

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.number_types import ANY_PORT, HISTORY_HOURS, RATE, SHARE
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.siems import SIEMS
from flicker_dagster.simulator.typed import Typed, text_of
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.world import USUAL, World, vendors_of

#: What a source of a vendor says: path, Authorization header, key of the event's time.
SNIPPETS = {
    "okta": ("/api/v1/logs", "SSWS", "published"),
    "github": ("/orgs/company/audit-log", "Bearer", "@timestamp"),
    "salesforce": ("/services/data/v58.0/query", "Bearer", "CreatedDate"),
}
SAVED_AS = "simulated.yaml"


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
@click.argument("what", type=click.Choice([*USUAL, "siem", "all"]), default="all")
@click.option(
    "--siem",
    "siem_type",
    type=click.Choice(list(SIEMS)),
    help="Deliver into a simulated destination of this type, instead of a plain SIEM with its live page.",
)
@click.option("--port", default=0, type=ANY_PORT, help="Port of the vendor (or SIEM) named; a free one by default.")
@click.option("--siem-port", default=0, type=ANY_PORT, help="Port of the SIEM beside it; a free one by default.")
@click.option("--page-port", default=0, type=ANY_PORT, help="Port of the live page; a free one by default.")
@click.option("--rate", default=1.0, type=RATE, show_default=True, help="Events per second.")
@click.option("--history", default=1.0, show_default=True, type=HISTORY_HOURS, help="Hours of past events.")
@click.option("--late", default=0.0, type=SHARE, help="Share of events that become visible a minute late.")
@click.option("--duplicate", default=0.0, type=SHARE, help="Share of events that a listing shows twice.")
@click.option("--seed", default=0)
@click.option("--token", default="test-token", show_default=True, help="What vendors and SIEM ask for.")
@click.option("--fault", multiple=True, type=FaultType(), help="A fault for the next COUNT requests; repeatable.")
@click.option("--journal", type=click.Path(path_type=Path), help="Where the SIEM remembers what it accepted.")
def simulate(
    what: str,
    siem_type: str | None,
    port: int,
    siem_port: int,
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
    """Serve simulated vendors and a SIEM until Ctrl-C, and print the whole configuration that works beside them."""
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    vendors = USUAL if what == "all" else () if what == "siem" else (what,)
    habits = Habits(late_share=late, duplicate_share=duplicate)
    if siem_type is not None:
        if journal is not None or page_port:
            raise click.UsageError("--journal and --page-port are of the plain SIEM, expected them without --siem")
        with Typed(
            siem_type,
            token,
            port=siem_port if vendors else port,
            vendors=vendors_of(
                vendors,
                tokens=dict.fromkeys(vendors, token),
                rate=rate,
                history_s=history * 3600,
                habits=habits,
                seed=seed,
                port=port,
            ),
        ) as typed:
            typed.plan(fault)
            sources = [_source(vendor, token, history, ["destination: siem"]) for vendor in typed.vendors.values()]
            click.echo(typed.printed([line for source in sources for line in source]))
            stop.wait()
        return
    try:
        siem = Receiver(token=token, journal=journal, port=siem_port if vendors else port)
        world = World(
            vendors=vendors,
            rate=rate,
            history_s=history * 3600,
            habits=habits,
            seed=seed,
            tokens=dict.fromkeys(vendors, token),
            siem=siem,
            port=port,
            page_port=page_port,
            names={name: _source_name(name) for name in vendors},
        )
    except OSError as error:
        raise FlickerError(f"the journal {journal} cannot be written: {error.strerror or error}") from None
    with world:
        for planned in fault:
            for server in [*world.vendors.values(), siem]:
                server.faults.plan(planned.kind, count=planned.count)
        click.echo(printed(world, token, history_hours=history) if vendors else _siem_alone(siem, token))
        stop.wait()


def printed(world: World, token: str, *, history_hours: float) -> str:
    """A configuration that collects from every vendor of a world into its SIEM, with what to do with it as comments."""
    lines = [
        f"# Simulated {', '.join(world.vendors)}, and a SIEM, until Ctrl-C. Save all this as {SAVED_AS}; in another terminal:",
        f"#   flicker -c {SAVED_AS} --once             # poll once, deliver",
        f"#   flicker -c {SAVED_AS} --track            # or run it, with the Dagster UI",
        f"# What was emitted and what arrived: {world.page.url}",
        *(f"#   {vendor.url}/_sim/emitted" for vendor in world.vendors.values()),
        f"#   {world.siem.url}/_siem/stats",
        "api_sources:",
        *(
            line
            for vendor in world.vendors.values()
            for line in _source(vendor, token, history_hours, _into(world.siem, token, vendor.name))
        ),
    ]
    return "\n".join(lines)


def _into(siem: Receiver, token: str, name: str) -> list[str]:
    return ["destination:", *(f"  {line}" for line in _destination(siem, token, f"/{name}"))]


def _source(vendor: Vendor, token: str, history_hours: float, destination: list[str]) -> list[str]:
    path, scheme, time_field = SNIPPETS[vendor.name]
    return [
        f"  - name: {_source_name(vendor.name)}",
        f"    vendor: {vendor.name}",
        f"    endpoint: {vendor.url}{path}",
        "    polling_frequency_ms: 5000",
        f"    start_from: {math.ceil(history_hours) + 1}h",
        "    headers:",
        f"      Authorization: {text_of(f'{scheme} {token}')}",
        f"    timestamp_field: {text_of(time_field)}",
        *(f"    {line}" for line in destination),
    ]


def _destination(siem: Receiver, token: str, path: str) -> list[str]:
    return ["type: http", f"endpoint: {siem.url}{path}", f"auth: {{type: bearer, token: {text_of(token)}}}"]


def _siem_alone(siem: Receiver, token: str) -> str:
    lines = [
        "# A simulated SIEM, until Ctrl-C. For a source of yours:",
        "    destination:",
        *(f"      {line}" for line in _destination(siem, token, "/events")),
        f"# What it accepted: {siem.url}/_siem/stats",
    ]
    return "\n".join(lines)


def _source_name(vendor: str) -> str:
    return f"{vendor}-simulated"
