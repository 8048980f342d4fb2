"""`flicker simulate`: vendors and a SIEM to test against, on your own machine."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from flicker_dagster.cli.simulated import (
    TEST_TOKEN,
    checked,
    delay_s_of,
    destination_lines,
    literal,
    params_of,
    source_lines,
    streams_of_source,
    tokens_of,
)
from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.number_types import ANY_PORT, HISTORY_HOURS, RATE, SHARE
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.siems import SIEMS
from flicker_dagster.simulator.typed import SAVED_AS, Typed, text_of
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.world import USUAL, World, vendors_of

EVERYTHING, NOTHING = "all", "siem"


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
@click.argument("what", nargs=-1, metavar="[VENDOR... | siem | all]")
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
@click.option(
    "--token",
    help="What the SIEM asks for, and vendors whose credential is a token; by default test-token, and the token of the "
    "simulated account.",
)
@click.option("--fault", multiple=True, type=FaultType(), help="A fault for the next COUNT requests; repeatable.")
@click.option("--journal", type=click.Path(path_type=Path), help="Where the SIEM remembers what it accepted.")
def simulate(
    what: tuple[str, ...],
    siem_type: str | None,
    port: int,
    siem_port: int,
    page_port: int,
    rate: float,
    history: float,
    late: float,
    duplicate: float,
    seed: int,
    token: str | None,
    fault: tuple[Fault, ...],
    journal: Path | None,
) -> None:
    """Serve simulated vendors and a SIEM until Ctrl-C, and print the whole configuration that works beside them.

    Okta, GitHub and Salesforce (`all`), or those named; `siem` alone is no vendor. `flicker vendors` lists them.
    """
    vendors = _vendors(what)
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    tokens = tokens_of(vendors, token)
    siem_token = token or TEST_TOKEN
    life: dict[str, Any] = {
        "rate": rate,
        "history_s": history * 3600,
        "habits": Habits(late_share=late, duplicate_share=duplicate),
        "seed": seed,
        "tokens": tokens,
        "port": port,
        "streams": {name: streams_of_source(name) for name in vendors},
    }
    if siem_type is not None:
        if journal is not None or page_port:
            raise click.UsageError("--journal and --page-port are of the plain SIEM, expected them without --siem")
        siem_port = siem_port if vendors else port
        with Typed(siem_type, siem_token, port=siem_port, vendors=vendors_of(vendors, **life)) as typed:
            typed.plan(fault)
            click.echo(typed.printed(_sources(typed.vendors, history)))
            stop.wait()
        return
    try:
        siem = Receiver(token=siem_token, journal=journal, by_source=True, port=siem_port if vendors else port)
        names = {name: _source_name(name) for name in vendors}
        delays_s = {name: delay_s_of(name) for name in vendors}
        world = World(vendors=vendors, siem=siem, page_port=page_port, names=names, delay_s=delays_s, **life)
    except OSError as error:
        raise FlickerError(f"the journal {journal} cannot be written: {error.strerror or error}") from None
    with world:
        for planned in fault:
            for server in [*world.vendors.values(), siem]:
                server.faults.plan(planned.kind, count=planned.count)
        click.echo(printed(world, siem_token, history_hours=history) if vendors else _siem_alone(siem, siem_token))
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
        *destination_lines(f"{world.siem.url}/events", literal(token)),
        "api_sources:",
        *_sources(world.vendors, history_hours),
    ]
    return "\n".join(lines)


def _vendors(what: tuple[str, ...]) -> tuple[str, ...]:
    """Those named, in any spelling of several. Raises FlickerError for a name that is none."""
    if not what or what == (EVERYTHING,):
        return USUAL
    if what == (NOTHING,):
        return ()
    for word in (EVERYTHING, NOTHING):
        if word in what:
            raise click.UsageError(f"{word} stands alone, expected it without other names")
    return checked(what)


def _sources(vendors: Mapping[str, Vendor], history_hours: float) -> list[str]:
    keys = {"polling_frequency_ms": 5000, "start_from": f"{math.ceil(history_hours) + 1}h"}
    return [
        line
        for vendor in vendors.values()
        for line in source_lines(
            vendor,
            name=_source_name(vendor.name),
            params={name: literal(value) for name, value in params_of(vendor).items()},
            keys=keys,
        )
    ]


def _siem_alone(siem: Receiver, token: str) -> str:
    lines = [
        "# A simulated SIEM, until Ctrl-C. For a source of yours:",
        "    destination:",
        "      type: http",
        f"      endpoint: {siem.url}/events",
        f"      auth: {{type: bearer, token: {text_of(token)}}}",
        f"# What it accepted: {siem.url}/_siem/stats",
    ]
    return "\n".join(lines)


def _source_name(vendor: str) -> str:
    return f"{vendor.replace('_', '-')}-simulated"
