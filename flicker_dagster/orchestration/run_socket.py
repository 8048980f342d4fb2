"""Talking to a run server: where its socket is, and one request with one answer, both a line of JSON.

A run server serves the process that started it and no other: its socket carries a random name that only that process
knows for its own. Whoever wants to end a run asks all of the instance's run servers.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from flicker_dagster.orchestration.socket_dir import NoSocketDir, socket_dir

#: Anything near this long means that the server is gone or stuck: a fork answers in milliseconds.
ANSWER_TIMEOUT_S = 10.0

#: Set by the supervisor for its children, so that it can wait for the runs of its own start only.
START_VAR = "FLICKER_START"

_SUFFIX = ".runs.sock"
_process = secrets.token_hex(4)


class RunServerGone(Exception):
    """No run server answers at the socket."""


class RunSocket(NamedTuple):
    """The socket of one run server, and the file that it and its runs hold locked while they live."""

    path: str
    lock: str


def own_socket(instance_root: str) -> RunSocket:
    """The socket of the run server that this process starts and uses. Raises RunServerGone where there can be none."""
    start = os.environ.get(START_VAR) or _process
    path = os.path.join(_directory(instance_root), f"{start}.{_process}{_SUFFIX}")
    return RunSocket(path, lock_path(instance_root, start))


def lock_path(instance_root: str, start: str) -> str:
    """The file that all run servers of a start, and their runs, hold locked while they live."""
    return os.path.join(_directory(instance_root), f"{start}.lock")


def run_servers(instance_root: str) -> dict[str, int]:
    """Socket and process id of every run server of this instance that answers, whoever started it."""
    found: dict[str, int] = {}
    for path in sorted(Path(_directory(instance_root)).glob(f"*{_SUFFIX}")):
        try:
            found[str(path)] = ask(str(path), {"do": "ping"})["pid"]
        except RunServerGone:
            continue
    return found


@contextmanager
def starting(path: str) -> Iterator[None]:
    """Be the only one, among all threads and processes, who starts a run server for this socket."""
    with open(f"{path}.starting", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_idle(lock: str) -> bool:
    """Is no run server of this lock, and no run that one forked, alive?"""
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request, return the answer. Raises RunServerGone where nobody answers."""
    deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            connection.settimeout(max(0.1, deadline_s - time.monotonic()))
            answer = connection.makefile("rb").readline()
        except OSError as error:
            raise RunServerGone(f"no run server at {path}: {error}") from None
    if not answer:
        raise RunServerGone(f"the run server at {path} hung up")
    return json.loads(answer)


def _directory(instance_root: str) -> str:
    try:
        return socket_dir(instance_root)
    except (NoSocketDir, OSError) as error:
        raise RunServerGone(str(error)) from None
