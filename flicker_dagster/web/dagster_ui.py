"""Dagster's web UI as an application, and what it knows: the only place of this floor that knows Dagster's private names.

Built as `dagster-webserver` builds it, without the telemetry and the server around it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

#: As `dagster-webserver` sets them by default.
STATEMENT_TIMEOUT_MS = 15_000
POOL_RECYCLE_S = 3_600
POOL_OVERFLOW = 20
POLL_MS = 2_000

#: Daemons write a heartbeat every 30 s, but not in the midst of a long tick.
HEARTBEAT_S = 300


@contextmanager
def workspace(
    instance: dg.DagsterInstance, path: str, *, read_only: bool, reload: Callable[[], None] | None = None
) -> Iterator[Any]:
    """The code locations of a workspace file, kept up to date while this is open.

    `reload` stands for Dagster's own way to have a code server reload: what it raises is what the UI shows, and then
    everything stays as it is.
    """
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.version import __version__

    class Followed(WorkspaceProcessContext):
        def reload_code_location(self, name: str) -> None:
            if reload is None:
                return super().reload_code_location(name)
            reload()
            return self.refresh_code_location(name)

        def reload_workspace(self) -> None:
            if reload is None:
                return super().reload_workspace()
            reload()
            return self.refresh_workspace()

    instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_S, POOL_OVERFLOW)
    target = WorkspaceFileTarget([path])
    with Followed(
        instance, target, version=__version__, read_only=read_only, code_server_log_level="warning"
    ) as opened:
        yield opened


def application(opened: Any, **options: Any) -> Any:
    """The ASGI application of the UI over an open workspace."""
    from dagster_webserver.webserver import DagsterWebserver

    return DagsterWebserver(opened, live_data_poll_rate=POLL_MS).create_asgi_app(**options)


def what_is_missing(opened: Any) -> str | None:
    """None if all code locations are loaded and answer and all daemons have a fresh heartbeat; else what does not."""
    for name, entry in opened.get_current_workspace().code_location_entries.items():
        location = entry.code_location
        if location is None:
            return f"code location {name} is not loaded"
        client = getattr(location, "client", None)
        if client is not None and client.ping("")["echo"] != "":
            return f"code location {name} does not answer"
    now_s = time.time()
    for name, status in opened.instance.get_daemon_statuses().items():
        beat = status.last_heartbeat
        if status.required and (beat is None or now_s - beat.timestamp > HEARTBEAT_S):
            return f"no fresh heartbeat from {name}"
    return None
