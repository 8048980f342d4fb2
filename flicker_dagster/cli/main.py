"""The command `flicker`. Without a subcommand it runs everything in the foreground, as a container would."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flicker_dagster import __version__
from flicker_dagster.cli.command import FlickerGroup
from flicker_dagster.cli.elsewhere import Elsewhere
from flicker_dagster.cli.options import Moment, WebAddress, given, json_option, take_settings
from flicker_dagster.errors import LocationError
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.settings import REGISTRY_VAR, Settings
from flicker_dagster.simulator.number_types import PORT, RATE
from flicker_dagster.state.locations import is_s3
from flicker_dagster.state.private import UMASK
from flicker_dagster.web.hosts import Authority
from flicker_dagster.web.options import WebOptions, web_options

log = logging.getLogger("flicker.cli")

#: More lines than these would hide what else is told at a start.
MOST_UNSET_TOLD = 50

if TYPE_CHECKING:  # `flicker health` and its like load no configuration
    from flicker_dagster.config.whole_file import FlickerConfig


@click.group(
    "flicker", cls=FlickerGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="flicker")
@click.option("--track", is_flag=True, help="Keep positions, ledger and runs between starts.")
@click.option("--validate", is_flag=True, help="Check the configuration and say what the presets changed; exit 0 or 2.")
@click.option("--dry-run", is_flag=True, help="Look once at each source and show what would be shipped. Ships nothing.")
@click.option("--once", is_flag=True, help="Poll every source once, deliver, and tell by the exit code.")
@click.option("--no-ui", is_flag=True, help="Without the Dagster web UI.")
@web_options
@click.pass_context
def cli(
    context: click.Context,
    track: bool,
    validate: bool,
    dry_run: bool,
    once: bool,
    no_ui: bool,
    host: str,
    port: int,
    allow_hosts: tuple[Authority, ...],
    read_only: bool,
) -> None:
    """SaaS audit logs into your SIEM: every event once.

    \b
    flicker -c config.yaml --validate        check the configuration
    flicker -c config.yaml --dry-run         look at each source, ship nothing
    flicker -c config.yaml --track           run: code server, Dagster daemon, web UI
    """
    log_to_console()
    settings: Settings = context.obj
    if context.invoked_subcommand is not None:
        return
    web = WebOptions(host, port, allow_hosts, read_only=read_only)
    if validate:
        from flicker_dagster.cli.validate import validate_config

        sys.exit(validate_config(settings))
    if REGISTRY_VAR in given(context) and not track:
        raise click.UsageError("--registry-file keeps positions; add --track (without it nothing is kept)")
    if not os.path.lexists(settings.config_path):
        raise click.UsageError(f"no configuration at {settings.config_path!r}; name it with -c, or see `flicker demo`")
    if track:
        sys.exit(_work(settings, kept=True, dry_run=dry_run, once=once, web=None if no_ui else web))
    with _forgotten(settings.work_dir) as forgotten:
        click.echo("Without --track nothing is kept: a new start begins again from start_from.", err=True)
        passing = Settings(config_path=settings.config_path, state_dir=forgotten, work_dir=forgotten)
        sys.exit(_work(passing, kept=False, dry_run=dry_run, once=once, web=None if no_ui else web))


@contextmanager
def _forgotten(work_dir: str) -> Iterator[str]:
    """A directory for one start. Raises LocationError."""
    _make(work_dir)
    with tempfile.TemporaryDirectory(prefix=names.UNTRACKED, dir=work_dir) as name:
        yield name


def _make(work_dir: str) -> None:
    """Make the work directory. Raises LocationError where it cannot be made or written to."""
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            return
    except OSError as error:
        raise LocationError(
            f"cannot write to --work-dir {work_dir}: {error.strerror}; name another directory"
        ) from None


def _tell_unset(settings: Settings) -> FlickerConfig:
    """Load the configuration and warn of what its sources will miss; the others go on. Raises ConfigError."""
    from flicker_dagster.config.load import load_config
    from flicker_dagster.config.secrets import unset_variables

    config = load_config(settings.config_path)
    lines = unset_variables(config, os.environ)
    for line in lines[:MOST_UNSET_TOLD]:
        log.warning("%s", line)
    if len(lines) > MOST_UNSET_TOLD:
        log.warning("%d more are unset; `flicker --validate` names them all", len(lines) - MOST_UNSET_TOLD)
    return config


def _work(settings: Settings, *, kept: bool, dry_run: bool, once: bool, web: WebOptions | None) -> int:
    if not dry_run and not once:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # nothing has been started yet
    config = _tell_unset(settings)
    if dry_run:
        from flicker_dagster.cli.dry_run import dry_run_all

        return dry_run_all(settings)
    if kept:
        _make(settings.work_dir)
    if kept and (is_s3(settings.state_dir) or is_s3(settings.registry_file or "")):
        from flicker_dagster.state.conditions import check_conditions

        check_conditions(settings.layout())
    if once:
        from flicker_dagster.cli.once import poll_once

        return poll_once(settings, kept=kept)
    from flicker_dagster.cli.supervise import become_supervisor, run_foreground

    log.info("%d API sources in %s", len(config.sources), settings.config_path)
    if kept:
        registry = settings.registry_file or f"{settings.state_dir.rstrip('/')}/registry.json"
        log.info("Positions are kept in %s; spool and Dagster's storage in %s", registry, settings.work_dir)
        from flicker_dagster.cli.leftovers import tell_at_start

        tell_at_start(settings, config)
    host, port = (web.host, web.port) if web else ("", None)
    if web is not None:
        os.environ.update(web.environment())  # its process reads them there
    if kept:
        become_supervisor(settings, host=host, port=port)
    return run_foreground(settings, host=host, port=port)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of config.yaml, for editors."""
    import json

    from flicker_dagster.config.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@cli.command()
@click.option("--duration", type=click.IntRange(min=10), help="End by itself after so many seconds, with a summary.")
@click.option("--port", default=3000, show_default=True, type=PORT, help="Port of the Dagster web UI.")
@click.option("--page-port", default=3001, show_default=True, type=PORT, help="Port of the live page.")
@click.option(
    "--rate",
    default=2.0,
    show_default=True,
    type=RATE,
    help="Events per second at each simulated vendor.",
)
@click.option(
    "--vendor",
    "vendors",
    multiple=True,
    metavar="NAME,…",
    help="Whom to collect from, in place of Okta, GitHub and Salesforce; repeatable. `flicker vendors` lists all.",
)
def demo(duration: int | None, port: int, page_port: int, rate: float, vendors: tuple[str, ...]) -> None:
    """Simulated vendors, a SIEM and Flicker on the documented configuration, or on the one that a newcomer writes for the
    vendors named; no account needed."""
    from flicker_dagster.cli.demo import run_demo

    sys.exit(run_demo(duration_s=duration, ui_port=port, page_port=page_port, rate=rate, vendors=vendors))


@cli.command()
@click.pass_obj
def health(settings: Settings) -> None:
    """Exit 0 while the daemon's heartbeats are fresh; for probes of containers without the web UI."""
    from flicker_dagster.cli.health import check_health

    sys.exit(check_health(settings))


@cli.command()
@json_option
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Where each source stands: position, lag, last run, waiting events, dead letters, verified windows."""
    from flicker_dagster.cli.status import show_status

    sys.exit(show_status(settings, as_json=as_json))


@cli.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(settings: Settings, name: str, yes: bool) -> None:
    """Drop all state of NAME, a source that is no longer configured: what waits, its position, its dead letters. With
    SOURCE@LANE, of a destination that a source no longer has."""
    from flicker_dagster.cli.forget import forget_state

    forget_state(settings, name, ask=not yes)


@cli.command()
@json_option
@click.pass_obj
def sources(settings: Settings, as_json: bool) -> None:
    """The configured sources and what the vendor presets overruled."""
    from flicker_dagster.cli.status import show_sources

    show_sources(settings, as_json=as_json)


@cli.command()
@click.argument("source")
@click.argument("start", metavar="FROM", type=Moment())
@click.argument("end", metavar="TO", type=Moment())
@click.option("--redeliver", is_flag=True, help="Ship everything in these windows again, not only what is missing.")
@click.option(
    "--url",
    default="http://127.0.0.1:3000",
    show_default=True,
    envvar="FLICKER_URL",
    type=WebAddress(),
    help="Flicker's web UI.",
)
@click.pass_obj
def backfill(settings: Settings, source: str, start: str, end: str, redeliver: bool, url: str) -> None:
    """Read SOURCE's windows between FROM and TO again (ISO times, ages such as 2d, or now). Needs the web UI."""
    import time

    from flicker_dagster.cli.backfill import forecast_words, launch_backfill, windows_between
    from flicker_dagster.cli.selection import sources_named
    from flicker_dagster.times import start_from_ms

    [configured] = sources_named(settings, source)
    now_ms = int(time.time() * 1000)
    from_ms, to_ms = start_from_ms(start, now_ms), start_from_ms(end, now_ms)
    keys = windows_between(configured.grid, from_ms, to_ms, now_ms=now_ms, layout=settings.layout())
    click.echo(f"{source}: {len(keys)} windows to read: {forecast_words(settings, configured, keys)}")
    backfill_id = launch_backfill(url, configured.full_name, keys, redeliver=redeliver)
    click.echo(f"{source}: backfill {backfill_id} of {len(keys)} windows, {keys[0]} to {keys[-1]}")
    click.echo(f"watch it at {url.rstrip('/')}/runs/b/{backfill_id}")


@cli.command("test-destination")
@click.argument("name", required=False)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=1, max=3600),
    default=60.0,
    show_default=True,
    help="Seconds to wait for an acknowledgement, where there is one.",
)
@json_option
@click.pass_obj
def test_destination(settings: Settings, name: str | None, wait_s: float, as_json: bool) -> None:
    """Send one marked event to NAME and say what was answered; exit 0 when it was taken, 1 otherwise.

    NAME is a name under `destinations`, SOURCE, SOURCE@LANE, or the type of a lane where only one has it.
    """
    from flicker_dagster.cli.try_destination import try_destination

    sys.exit(try_destination(settings, name, wait_s=wait_s, as_json=as_json))


@cli.command("test")
@click.argument("source")
@json_option
@click.pass_obj
def test_source(settings: Settings, source: str, as_json: bool) -> None:
    """Ask SOURCE's vendor once: who am I, quota left, newest event, clocks, and what is missing; exit 0 or 1.

    SOURCE is a source, all of whose streams are asked, or SOURCE/STREAM. No event is shown.
    """
    from flicker_dagster.cli.try_source import try_sources

    sys.exit(try_sources(settings, source, as_json=as_json))


#: Each has a module of its own.
ELSEWHERE = (
    Elsewhere("add", "Ask for what VENDOR needs, write a source into the configuration, and test it."),
    Elsewhere("dead-letters", "Events that the SIEM refused for good, kept byte for byte."),
    Elsewhere("destinations", "What events can be delivered to; `show TYPE` says what one needs."),
    Elsewhere(
        "infer", "Find out how the API at URL lists its events, and write a source for it, with how sure each line is."
    ),
    Elsewhere("position", "Where live collection of each source stands; earlier positions; moving it."),
    Elsewhere(
        "simulate",
        "Serve simulated vendors and a SIEM until Ctrl-C, and print the whole configuration that works beside them.",
    ),
    Elsewhere("vendors", "Whose audit logs can be collected by name; `show NAME` says what one needs."),
)
for each in ELSEWHERE:
    cli.add_command(each)
take_settings(cli, but=("demo", "destinations", "infer", "schema", "simulate", "vendors"))


def main() -> None:
    """Entry point; `FlickerGroup` ends the process."""
    os.umask(UMASK)
    cli(prog_name="flicker")
