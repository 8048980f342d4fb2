"""`python -m flicker_dagster.web -w workspace.yaml`: Dagster's web UI behind Flicker's guard, for any workspace.

`flicker` starts it for its own; a team with a Dagster of its own may start it in place of `dagster-webserver`.
"""

from __future__ import annotations

import logging
import os
from functools import partial

import click
import dagster as dg

from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.web import dagster_ui
from flicker_dagster.web.guard import Guard
from flicker_dagster.web.hosts import Authority, parse_authority
from flicker_dagster.web.options import web_options
from flicker_dagster.web.readiness import Readiness
from flicker_dagster.web.reloading import await_config, is_supervised
from flicker_dagster.web.server import serve

log = logging.getLogger("flicker.web")


@click.command()
@click.option(
    "-w",
    "--workspace",
    type=click.Path(exists=True, dir_okay=False),
    default="workspace.yaml",
    show_default=True,
    help="Which code locations to show.",
)
@web_options
def main(workspace: str, host: str, port: int, allow_hosts: tuple[Authority, ...], read_only: bool) -> None:
    """Dagster's web UI behind Flicker's guard. The instance is that of DAGSTER_HOME."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    log_to_console()
    if not os.environ.get("DAGSTER_HOME"):
        raise click.UsageError("DAGSTER_HOME is not set; it names the directory of the Dagster instance to show")
    bound = parse_authority(f"[{host}]" if ":" in host else host)
    if not allow_hosts and not (bound and bound.is_loopback):
        log.info("the web UI answers to localhost only; name the proxy in front of it with --allow-host NAME")
    reload = partial(await_config, Settings.from_env()) if is_supervised() else None
    with (
        dg.DagsterInstance.get() as instance,
        dagster_ui.workspace(instance, workspace, read_only=read_only, reload=reload) as opened,
    ):
        readiness = Readiness(lambda: dagster_ui.what_is_missing(opened))
        guard = Guard(dagster_ui.application(opened), ready=readiness.ready, allowed=allow_hosts, read_only=read_only)
        serve(guard, host=host, port=port)


if __name__ == "__main__":
    main()
