"""The code server: on a Unix socket in a private directory, replaced without a moment in which nobody answers there.

Each process binds a name of its own, and takes the name that `workspace.yaml` knows when it answers. Daemon and web UI
find within a second or two that another one answers, and read the location again.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from flicker_dagster.cli.children import Child
from flicker_dagster.orchestration.applied import DIGEST_VAR
from flicker_dagster.state.files import replace_file

log = logging.getLogger("flicker.supervise")

SOCKET_NAME = "code.sock"
MODULE = "flicker_dagster.definitions"
START_TIMEOUT_S = 120

#: Calls at the same time: ticks of as many sensors and schedules as the daemon has workers for, and the web UI.
WORKERS = 20

#: How long a replaced one goes on: whoever has not yet found the new one finishes with it what was begun.
LINGER_S = 5.0
#: And how long its runs may take: it has some where Dagster's own launcher is used.
REPLACED_S = 3600.0

#: Starts a child, with these variables besides the usual ones.
Spawn = Callable[[Child, Mapping[str, str]], None]


class CodeServer(Child):
    """One process that serves the code location. It answers only once its definitions are loaded."""

    def __init__(self, sockets: str, number: int, *, location: str, digest: str | None) -> None:
        """`digest` names the configuration to load; None: what the file holds."""
        self.bound = os.path.join(sockets, f"code-{number}.sock")
        self.known = os.path.join(sockets, SOCKET_NAME)
        self.digest = digest
        self.answers = False
        self.replaced_s: float | None = None  # monotonic
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "api", "grpc", "--module-name", MODULE]
        command += ["--socket", self.bound, "--location-name", location, "--log-level", "warning"]
        super().__init__("code server", [*command, "--max-workers", str(WORKERS)])

    def take_over(self) -> bool:
        """If it answers, give it the known name; the one that had it keeps the connections it has. Has it the name?"""
        if not self.answers and self.runs and _connects(self.bound):
            os.replace(self.bound, self.known)
            self.answers = True
        return self.answers


class CodeServers:
    """The code server that answers, the one that is to take its place, and those whose place was taken."""

    def __init__(self, sockets: str, *, location: str, spawn: Spawn) -> None:
        self._sockets, self._location, self._spawn = sockets, location, spawn
        self._started = 0
        self.current = self._new(None)
        self.next: CodeServer | None = None
        self.replaced: list[CodeServer] = []

    @property
    def all(self) -> list[CodeServer]:
        return [self.current, *([] if self.next is None else [self.next]), *self.replaced]

    def load(self, digest: str | None) -> None:
        """Have a new one load another configuration; one that is still loading is given up."""
        if self.next is not None:
            self.next.kill()
        self.next = self._new(digest)

    def give_up(self) -> None:
        """Let no new one take the place of the one that answers."""
        if self.next is not None:
            self.next.kill()
            self.next = None

    def look(self, *, in_force: str | None) -> bool:
        """Start again what has died, and let the next one take over when it answers. Did it just now?

        `in_force` is the digest of the configuration that a restarted one has to load.
        """
        self.current.take_over()
        if self.current.due():
            failures = self.current.failures
            self.current = self._new(in_force)
            self.current.failures = failures
        for old in list(self.replaced):
            self._dismiss(old)
        if self.next is None:
            return False
        if not self.next.runs or time.monotonic() - self.next.started_s > START_TIMEOUT_S:
            log.error("the code server does not start with the changed configuration; nothing is changed")
            self.give_up()
            return False
        if not self.next.take_over():
            return False
        self.current.replaced_s = time.monotonic()
        self.replaced.append(self.current)
        self.current, self.next = self.next, None
        return True

    def _dismiss(self, old: CodeServer) -> None:
        assert old.replaced_s is not None
        since_s = time.monotonic() - old.replaced_s
        if since_s > REPLACED_S:
            old.kill()
        elif since_s > LINGER_S and not old.asked_to_end:
            old.signal(signal.SIGTERM)
        if not old.runs:
            self.replaced.remove(old)

    def _new(self, digest: str | None) -> CodeServer:
        self._started += 1
        server = CodeServer(self._sockets, self._started, location=self._location, digest=digest)
        self._spawn(server, {} if digest is None else {DIGEST_VAR: digest})
        return server


def write_workspace(path: Path, sockets: str, *, location: str) -> None:
    """The workspace of daemon and web UI. JSON is YAML, whatever stands in the path."""
    server = {"socket": os.path.join(sockets, SOCKET_NAME), "location_name": location}
    replace_file(path, json.dumps({"load_from": [{"grpc_server": server}]}, indent=1).encode() + b"\n", durable=False)


def _connects(path: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        probe.connect(path)
        return True
    return False
