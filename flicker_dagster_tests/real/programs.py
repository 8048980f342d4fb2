"""Starting a program, waiting until it answers, and ending it."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

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
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

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
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError):
            return self.log.read_text("utf-8", "replace")[-4000:]
        return ""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


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


def call(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a request, whatever the status is."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
