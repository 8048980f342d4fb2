"""Processes that the supervisor starts, and everything that came of them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flicker_dagster.cli.relay import relay_output
from flicker_dagster.deliver.standard_output import inherited
from flicker_dagster.orchestration.parent import end_with
from flicker_dagster.state.private import UMASK

log = logging.getLogger("flicker.supervise")

MAX_PAUSE_S = 30
HEALTHY_AFTER_S = 60


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    restart_at_s: float = 0.0
    failures: int = 0
    asked_to_end: bool = False
    output: list[threading.Thread] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def spawn(self, *, env: Mapping[str, str], cwd: Path) -> None:
        """Start it. To be called from a thread that lives as long as this process: the child ends with that thread."""
        ours = os.getpid()
        # A session of its own: Ctrl-C in a terminal must reach the supervisor only, or it would cancel runs. And two
        # daemons must never run, so none outlives the supervisor, even if that dies by SIGKILL.
        self.process = subprocess.Popen(
            self.command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=inherited(env),
            umask=UMASK,
            preexec_fn=(lambda: end_with(ours)) if sys.platform == "linux" else None,
        )
        self.started_s = time.monotonic()
        self.restart_at_s = 0.0
        self.output = [relay_output(self.name, self.process)]

    def due(self) -> bool:
        """Is it time to start it again? Each failure makes the pause before that longer."""
        now_s = time.monotonic()
        if self.runs:
            if self.failures and now_s - self.started_s > HEALTHY_AFTER_S:
                self.failures = 0
            return False
        if not self.restart_at_s:
            pause_s = min(MAX_PAUSE_S, 2**self.failures)
            self.failures += 1
            self.restart_at_s = now_s + pause_s
            code = None if self.process is None else self.process.returncode
            log.error("%s ended with code %s; starting it again in %d s", self.name, code, pause_s)
        return now_s >= self.restart_at_s

    def signal(self, signum: int) -> None:
        if self.runs and self.process is not None:
            self.asked_to_end = self.asked_to_end or signum == signal.SIGTERM
            self.process.send_signal(signum)

    def kill(self) -> None:
        """End it and its process group now, if it has not ended."""
        if self.runs and self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def processes_with(name: str, value: str) -> list[int]:
    """Every living process that was started with a variable in its environment, by a child or a child's child."""
    mark = f"{name}={value}".encode()
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if entry.isdigit() and int(entry) != os.getpid():
            with suppress(OSError):
                if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
    return found


def send_all(pids: list[int], signum: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)
