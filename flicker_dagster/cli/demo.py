"""`flicker demo`: simulated vendors, a SIEM, and Flicker on the documented configuration pointed at them.

Everything is the real thing but the vendors: real HTTP, a real Dagster daemon and code server, real runs, embedded
storage in a temporary directory.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from rich.console import Console
from rich.table import Table

from flicker_dagster.cli.supervise import Supervisor
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.world import Row, World

#: Which simulated vendor stands for which source of the documented configuration.
VENDORS = {"okta-audit-logs": "okta", "github-audit-log": "github", "salesforce-audit": "salesforce"}
TOKENS = {
    "OKTA_API_TOKEN": "demo-okta-token",
    "GITHUB_TOKEN": "demo-github-token",
    "SALESFORCE_TOKEN": "demo-salesforce-token",
    "SIEM_API_KEY": "demo-siem-key",
}
POLL_MS = 5_000
HISTORY_S = 6 * 3600
START_FROM = "7h"
SETTLE_S = 90
REPORT_EVERY_S = 10

console = Console(stderr=True)


def run_demo(*, duration_s: int | None, ui_port: int, page_port: int, rate: float) -> int:
    """0 if nothing was missing or twice in the end."""
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    with (
        tempfile.TemporaryDirectory(prefix="flicker-demo-") as home,
        World(rate=rate, history_s=HISTORY_S, page_port=page_port) as world,
    ):
        config = Path(home, "config.yaml")
        config.write_text(demo_config(world))
        os.environ.update(TOKENS, SIEM_ENDPOINT=world.siem.url)
        supervisor = Supervisor(Settings(str(config), state_dir=home, work_dir=home), port=ui_port)
        console.print("[bold]Flicker demo[/]: starting code server, daemon and web UI (about 15 s) …")
        try:
            supervisor.start()
            console.print(
                f"  Dagster UI   [link]http://127.0.0.1:{ui_port}[/link]   (assets, runs, sensors, backfills)"
            )
            console.print(f"  Live page    [link]{world.page.url}[/link]   (emitted / in the SIEM / missing / twice)")
            console.print(
                "  Ctrl-C ends the demo." if duration_s is None else f"  Ends by itself after {duration_s} s."
            )
            _watch(world, supervisor, stop, duration_s)
            world.stop_emitting()
            rows = _settle(world, supervisor)
        finally:
            console.print("Stopping: runs in flight finish first …")
            supervisor.stop()
        rows = world.compare()
    _print_summary(rows)
    return 0 if all(row.missing == 0 and row.twice == 0 and row.emitted for row in rows) else 1


def demo_config(world: World) -> str:
    """The documented configuration with other addresses, short intervals and a start in the past; nothing else."""
    text = (resources.files("flicker_dagster.cli") / "example.yaml").read_text()
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


def _watch(world: World, supervisor: Supervisor, stop: threading.Event, duration_s: int | None) -> None:
    began_s = time.monotonic()
    last_report_s = began_s

    def over() -> bool:
        nonlocal last_report_s
        now_s = time.monotonic()
        if now_s - last_report_s >= REPORT_EVERY_S:
            last_report_s = now_s
            console.print(f"  {now_s - began_s:4.0f} s  " + "   ".join(_short(row) for row in world.compare()))
        return stop.is_set() or (duration_s is not None and now_s - began_s >= duration_s)

    supervisor.watch(until=over)


def _settle(world: World, supervisor: Supervisor) -> list[Row]:
    """Wait, bounded, until what was emitted last has had its poll."""
    console.print("No more events are emitted; the last polls run …")
    deadline_s = time.monotonic() + SETTLE_S

    def settled() -> bool:
        return all(row.missing == 0 for row in world.compare()) or time.monotonic() > deadline_s

    supervisor.watch(until=settled)
    return world.compare()


def _short(row: Row) -> str:
    return f"{row.source}: {row.emitted} emitted, {row.in_siem} in the SIEM, {row.twice} twice"


def _print_summary(rows: list[Row]) -> None:
    table = Table("source", "emitted", "in the SIEM", "missing", "twice", title="Flicker demo")
    for row in rows:
        style = "green" if row.missing == 0 and row.twice == 0 else "red"
        table.add_row(row.source, str(row.emitted), str(row.in_siem), str(row.missing), str(row.twice), style=style)
    Console().print(table)
