"""`flicker demo`: simulated vendors, a SIEM, and Flicker on a configuration pointed at them: the documented one, or what
a newcomer writes for the vendors that were chosen.

Everything is the real thing but the vendors: real HTTP, a real Dagster daemon and code server, real runs, embedded
storage in a temporary directory.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flicker_dagster.cli.demo_vendors import START_FROM, DemoVendors
from flicker_dagster.cli.supervise import Supervisor
from flicker_dagster.config.models import asset_name
from flicker_dagster.orchestration.logs import LEVEL_VAR, log_to_console
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.comparison import Row
from flicker_dagster.simulator.world import World

#: Which simulated vendor stands for which source of the documented configuration.
VENDORS = {"okta-audit-logs": "okta", "github-audit-log": "github", "salesforce-audit": "salesforce"}
NAMES = {vendor: name for name, vendor in VENDORS.items()}
TOKENS = {
    "OKTA_API_TOKEN": "demo-okta-token",
    "GITHUB_TOKEN": "demo-github-token",
    "SALESFORCE_TOKEN": "demo-salesforce-token",
    "SIEM_API_KEY": "demo-siem-key",
}
POLL_MS = 5_000
HISTORY_S = 6 * 3600
SETTLE_S = 90
SETTLE_POLLS = 4
REPORT_EVERY_S = 10
UI_PATIENCE_S = 60
UI_ASK_S = 2.0

INTERRUPTED = 130  # as a shell has it

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Asked:
    """What Ctrl-C (or SIGTERM) has asked for: first to end, then not to wait for anything any more."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.to_end = threading.Event()
        self.at_once = threading.Event()
        self.starting = True
        self._supervisor = supervisor
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._note)

    def _note(self, *_: object) -> None:
        if self.to_end.is_set():
            self.at_once.set()
            self._supervisor.hurry.set()
        self.to_end.set()
        if self.starting:
            self._supervisor.stopping.set()


def run_demo(*, duration_s: int | None, ui_port: int, page_port: int, rate: float, vendors: Sequence[str] = ()) -> int:
    """0 if nothing was missing or twice in the end, 1 otherwise, 130 if it was ended before it had begun. Raises
    FlickerError for a vendor that is none."""
    os.environ.setdefault(LEVEL_VAR, "warning")  # the demo tells by itself what is polled and shipped
    log_to_console()
    chosen = DemoVendors(vendors) if vendors else None
    names = NAMES if chosen is None else chosen.names
    settle_s = SETTLE_S if chosen is None else SETTLE_S + SETTLE_POLLS * chosen.poll_ms / 1000
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="flicker-demo-") as home,
        World(
            rate=rate,
            history_s=HISTORY_S,
            page_port=page_port,
            names=names,
            assets={vendor: asset_name(name) for vendor, name in names.items()},
            ui_port=ui_port,
            **({} if chosen is None else chosen.world()),
        ) as world,
    ):
        config = Path(home, "config.yaml")
        text = demo_config(world) if chosen is None else chosen.config(world, Path(home))
        config.write_text(text, encoding="utf-8")
        os.environ.update(TOKENS if chosen is None else chosen.environment, SIEM_ENDPOINT=world.siem.url)
        supervisor = Supervisor(Settings(str(config), state_dir=home, work_dir=home), port=ui_port)
        asked = Asked(supervisor)
        console.print(f"[bold]Flicker demo[/]: simulated {', '.join(names)} and a SIEM; Flicker in between")
        if chosen is not None:
            console.print(Text(f"{config}, {len(text.splitlines())} lines:\n\n{text}"))
        try:
            _start(world, supervisor, asked, began_s)
            if not asked.to_end.is_set():
                console.print("Ctrl-C ends it." if duration_s is None else f"It ends by itself after {duration_s} s.")
                _watch(world, supervisor, asked, duration_s)
            started = not asked.starting
            if started:
                world.stop_emitting()
                _settle(world, supervisor, asked, settle_s)
        finally:
            console.print("Stopping …")
            supervisor.stop()
        if not started:
            console.print("Ended before it had begun.")
            return INTERRUPTED
        rows = world.compare()
    _print_summary(rows, names)
    return 0 if all(row.missing == 0 and row.twice == 0 and row.emitted for row in rows) else 1


def demo_config(world: World) -> str:
    """The documented configuration with other addresses, short intervals and a start in the past; nothing else."""
    text = (resources.files("flicker_dagster.cli") / "example.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    for source in config["api_sources"]:
        vendor = VENDORS[source["name"]]
        path = urlsplit(source["endpoint"]).path
        source |= {
            "vendor": vendor,  # the presets are known by host, and these hosts are ours
            "endpoint": world.vendor(vendor).url + path,
            "polling_frequency_ms": POLL_MS,
            "start_from": START_FROM,
        }
    return yaml.safe_dump(config, sort_keys=False)


def _start(world: World, supervisor: Supervisor, asked: Asked, began_s: float) -> None:
    """Start Flicker beside the world, saying how far it is. Returns early when asked to end."""

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began_s:5.0f} s  {text}")

    say(f"live page   {world.page.url}   emitted, delivered, missing")
    say("starting code server, daemon and web UI, which takes some seconds …")
    supervisor.start()
    if asked.to_end.is_set():
        return
    asked.starting = False
    url = f"http://127.0.0.1:{supervisor.ui_port}"
    deadline_s = time.monotonic() + UI_PATIENCE_S
    shown = False

    def answers() -> bool:
        nonlocal shown
        shown = _answers(url)
        return shown or asked.to_end.is_set() or time.monotonic() > deadline_s

    supervisor.watch(until=answers)
    say(f"Dagster UI  {url}   assets, runs, sensors, backfills{'' if shown else ' (it is still loading)'}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=UI_ASK_S) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _watch(world: World, supervisor: Supervisor, asked: Asked, duration_s: int | None) -> None:
    began_s = time.monotonic()
    last_report_s = began_s

    def over() -> bool:
        nonlocal last_report_s
        now_s = time.monotonic()
        if now_s - last_report_s >= REPORT_EVERY_S:
            last_report_s = now_s
            console.print(f"{now_s - began_s:5.0f} s  {_progress(world.compare())}")
        return asked.to_end.is_set() or (duration_s is not None and now_s - began_s >= duration_s)

    supervisor.watch(until=over)


def _settle(world: World, supervisor: Supervisor, asked: Asked, patience_s: float) -> None:
    """Wait, bounded, until what was emitted last has had its poll."""
    console.print("No more events are emitted; the last polls run (Ctrl-C: do not wait) …")
    deadline_s = time.monotonic() + patience_s

    def settled() -> bool:
        everything = all(row.missing == 0 for row in world.compare())
        return everything or asked.at_once.is_set() or time.monotonic() > deadline_s

    supervisor.watch(until=settled)


def _progress(rows: list[Row]) -> str:
    emitted, missing, twice = (
        sum(column) for column in zip(*((r.emitted, r.missing, r.twice) for r in rows), strict=True)
    )
    return f"in the SIEM {emitted - missing:,} of {emitted:,}, {missing:,} not there yet, {twice:,} twice"


def _print_summary(rows: list[Row], names: Mapping[str, str]) -> None:
    table = Table(title="Flicker demo")
    table.add_column("source", overflow="fold")
    for column in ("emitted", "in the SIEM", "missing", "twice"):
        table.add_column(column, justify="right")
    for row in rows:
        style = "green" if row.missing == 0 and row.twice == 0 else "red"
        figures = (row.emitted, row.in_siem, row.missing, row.twice)
        source = names[row.source]
        name = f"{source}/{row.stream}" if row.stream else source
        table.add_row(Text(name), *(f"{figure:,}" for figure in figures), style=style)
    Console().print(table)
    missing, twice = sum(row.missing for row in rows), sum(row.twice for row in rows)
    if missing or twice:
        Console().print(f"{missing:,} missing, {twice:,} twice.")
    elif all(row.emitted for row in rows):
        Console().print("Every event that was emitted is in the SIEM, once.")
    else:
        Console().print("A vendor emitted nothing.")
