"""Starting a program, waiting until it answers, and ending it."""

from __future__ import annotations

import os
import random
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

#: Generous: on a busy machine a JVM takes a minute; waiting ends as soon as it answers.
START_S = 180.0
STOP_S = 20.0


class Program:
    """One process with a log of its own. `ready` says whether it answers; it is asked until it does.

    A test may `kill` it, as a machine that dies would, and `start` it again with what it had on its disk.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        folder: Path,
        ready: Callable[[], object],
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = command
        self._folder = folder
        self._ready = ready
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Program:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()  # nothing of it is needed any more

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline_s = time.monotonic() + START_S
        while not self._ready():
            code = self._process.poll()
            assert code is None, f"{self.name} ended with {code}:\n{self.said()}"
            assert time.monotonic() < deadline_s, f"{self.name} does not answer after {START_S:g} s:\n{self.said()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
            self.kill()

    def kill(self) -> None:
        """End it, and what it started, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def said(self) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError):
            return self.log.read_text("utf-8", "replace")[-4000:]
        return ""


#: Below the ports that the kernel gives to clients: nobody takes one of these between our look and the program's start.
PORTS = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, never the same twice."""
    for port in random.sample(PORTS, 200):
        if port in _given:
            continue
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
            _given.add(port)
            return port
    raise AssertionError(f"no free port among {PORTS.start} to {PORTS.stop}")


def answers(url: str) -> Callable[[], bool]:
    """Does a GET give a 2xx?"""

    def asked() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return 200 <= answer.status < 300
        except (OSError, ValueError):  # URLError and time-outs are OSErrors; a half-started server may write nonsense
            return False

    return asked


def listens(port: int) -> Callable[[], bool]:
    """Does it take connections?"""

    def asked() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        except OSError:
            return False

    return asked


def call(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    """Status and body of a request, whatever the status is."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    connection = HTTPConnection(host, port, timeout=60)
    if address.scheme == "https":
        connection = HTTPSConnection(host, port, timeout=60, context=tls)
    with closing(connection):
        with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has the whole body, and hang up
            connection.request(method, address._replace(scheme="", netloc="").geturl() or "/", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
