"""`flicker health`: are the Dagster daemons alive?"""

from __future__ import annotations

import os
from pathlib import Path

import click

from flicker_dagster.orchestration.settings import Settings


def check_health(settings: Settings) -> int:
    """0 if every required daemon has a fresh heartbeat, else 1 with the names of those that have none. What else needs
    somebody's eye is told and changes no exit code: a restart would not help."""
    home = dagster_home(settings)
    if home is None:
        work_dir = Path(settings.work_dir).absolute()
        click.echo(f"no Dagster home below {work_dir}; is flicker running with this --work-dir?", err=True)
        return 1
    import dagster as dg

    from flicker_dagster.state.refused_edits import RefusedEdits

    with dg.DagsterInstance.from_config(home) as instance:
        statuses = instance.get_daemon_statuses()
    for line in RefusedEdits(settings.work_dir).lines():
        click.echo(line, err=True)
    ill = sorted(name for name, status in statuses.items() if status.required and not status.healthy)
    if ill:
        click.echo(f"no fresh heartbeat from: {', '.join(ill)}", err=True)
        return 1
    click.echo("healthy")
    return 0


def dagster_home(settings: Settings) -> str | None:
    """Where the Dagster of this work directory keeps its storage, or None if it never ran."""
    work_dir = Path(settings.work_dir).absolute()
    homes = [work_dir / "dagster", *work_dir.glob("untracked-*/dagster")]
    if os.environ.get("DAGSTER_HOME"):
        homes = [Path(os.environ["DAGSTER_HOME"])]
    return next((str(home) for home in homes if (home / "dagster.yaml").is_file()), None)
