"""Talking to the run server: where its socket is, and one request with one answer, both a line of JSON."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: A fork answers in milliseconds; anything near this long means that the server is gone or stuck.
ANSWER_TIMEOUT_S = 10.0


class RunServerGone(Exception):
    """No run server answers at the socket."""


def socket_path(instance_root: str) -> str:
    """One socket per Dagster instance, in a directory that only this user can enter (a path of its own would be too long)."""
    directory = os.path.join(tempfile.gettempdir(), f"flicker-{os.getuid()}")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    found = os.stat(directory)
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RunServerGone(f"{directory} belongs to somebody else or is open to others")
    digest = hashlib.blake2b(os.path.realpath(instance_root).encode(), digest_size=10).hexdigest()
    return os.path.join(directory, f"{digest}.sock")


def lock_path(path: str) -> str:
    """The file a run server holds locked while it or one of its runs is alive."""
    return f"{path}.lock"


@contextmanager
def starting(path: str) -> Iterator[None]:
    """Be the only one, among all threads and processes, who starts a run server for this socket."""
    with open(f"{path}.starting", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait_until_idle(path: str, timeout_s: float) -> bool:
    """Wait until no run server of this socket, and no run that one forked, is alive. False if that took too long."""
    deadline_s = time.monotonic() + timeout_s
    with open(lock_path(path), "a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline_s:
                    return False
                time.sleep(0.1)


def ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request, return the answer. Raises RunServerGone where nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = connection.makefile("rb").readline()
        except OSError as error:
            raise RunServerGone(f"no run server at {path}: {error}") from None
    if not answer:
        raise RunServerGone(f"the run server at {path} hung up")
    return json.loads(answer)
