"""The code server: on a Unix socket in a private directory, replaced without a moment in which nobody answers there.

Each process binds a name of its own, and takes the name that `workspace.yaml` knows when it answers.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from flicker_dagster.cli.children import Child
from flicker_dagster.state.files import replace_file

SOCKET_NAME = "code.sock"
MODULE = "flicker_dagster.definitions"

#: Calls at the same time: ticks of as many sensors and schedules as the daemon has workers for, and the web UI.
WORKERS = 20


class CodeServer(Child):
    """One process that serves the code location. It answers only once its definitions are loaded."""

    def __init__(self, sockets: str, number: int, *, location: str) -> None:
        self.bound = os.path.join(sockets, f"code-{number}.sock")
        self.known = os.path.join(sockets, SOCKET_NAME)
        self.answers = False
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "api", "grpc", "--module-name", MODULE]
        command += ["--socket", self.bound, "--location-name", location, "--log-level", "warning"]
        super().__init__("code server", [*command, "--max-workers", str(WORKERS)])

    def take_over(self) -> bool:
        """If it answers, give it the known name; the one that had it keeps the connections it has. Has it the name?"""
        if not self.answers and self.runs and _connects(self.bound):
            os.replace(self.bound, self.known)
            self.answers = True
        return self.answers


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
