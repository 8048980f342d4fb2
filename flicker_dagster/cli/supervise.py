"""Run code server, Dagster daemon and web UI as children of one foreground process.

A child that dies is started again, with a growing pause. SIGTERM and Ctrl-C drain: first the daemon stops asking for
runs, then the code server waits for the runs in flight, then everything ends and the exit code is 0.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import NoReturn

from flicker_dagster.cli.relay import relay_output
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.names import LOCATION
from flicker_dagster.orchestration.run_socket import socket_path, wait_until_idle
from flicker_dagster.orchestration.settings import Settings

log = logging.getLogger("flicker.supervise")

DRAIN_S = 45
START_TIMEOUT_S = 120
MAX_PAUSE_S = 30
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None)
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
    output: list[threading.Thread] = field(default_factory=list)


class Supervisor:
    """Starts the children, keeps them up, and stops them in the order that loses no work."""

    def __init__(self, settings: Settings, *, host: str = "127.0.0.1", port: int | None = 3000) -> None:
        self.settings = settings
        self.host = host
        self.ui_port = port
        self.home = dagster_home(settings)
        self.code_port = free_port()
        self.stopping = threading.Event()
        self.children: list[Child] = []

    def start(self) -> None:
        """Start everything; returns when the code server answers. Raises SystemExit if it does not."""
        self.home.mkdir(parents=True, exist_ok=True)
        prepare_home(self.home)
        workspace = self.home / "workspace.yaml"
        workspace.write_text(
            "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
            f"      port: {self.code_port}\n      location_name: {LOCATION}\n"
        )
        python = [sys.executable, "-W", "ignore", "-m"]
        code = [
            *python,
            "dagster",
            "api",
            "grpc",
            "--module-name",
            "flicker_dagster.definitions",
            "--host",
            "127.0.0.1",
        ]
        code += ["--port", str(self.code_port), "--location-name", LOCATION, "--log-level", "warning"]
        self._spawn(Child("code server", code))
        self._await_port(self.code_port)
        self._spawn(Child("daemon", [*python, "dagster._daemon", "run", "-w", str(workspace)]))
        if self.ui_port is not None:
            web = [*python, "flicker_dagster.web", "-w", str(workspace)]
            web += ["--host", self.host, "--port", str(self.ui_port)]
            self._spawn(Child("web UI", web))
            log.info("Dagster UI at http://%s:%d", self.host, self.ui_port)

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Restart what dies, until asked to stop."""
        while not self.stopping.is_set() and not until():
            for child in self.children:
                self.revive(child)
            self.stopping.wait(0.2)

    def stop(self) -> None:
        """Drain and end: daemon, then code server with its runs, then web UI. Safe to call twice."""
        self.stopping.set()
        order = {"daemon": 0, "code server": 1, "web UI": 2}
        for child in sorted(self.children, key=lambda child: order[child.name]):
            process = child.process
            if process is None or process.poll() is not None:
                continue
            if child.name == "code server":
                log.info("waiting up to %d s for runs in flight", DRAIN_S)
                wait_until_idle(socket_path(str(self.home)), DRAIN_S)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(DRAIN_S if child.name == "code server" else 15)
            except subprocess.TimeoutExpired:
                log.warning("%s did not end in time and is killed; nothing is lost by it", child.name)
                _kill_group(process)
        for child in self.children:
            for thread in child.output:
                thread.join(2)
        self.children.clear()

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def _spawn(self, child: Child) -> None:
        if child not in self.children:
            self.children.append(child)
        env = os.environ | self.settings.to_env() | {"DAGSTER_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        env.setdefault("DAGSTER_DISABLE_TELEMETRY", "true")
        env.setdefault("MALLOC_ARENA_MAX", "2")  # glibc gives each thread a heap of its own: 10 MB for nothing
        # A session of its own: Ctrl-C in a terminal must reach the supervisor only, or it would cancel runs.
        child.process = subprocess.Popen(
            child.command,
            env=env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        child.started_s = time.monotonic()
        child.restart_at_s = 0.0
        child.output = [relay_output(child.name, child.process)]

    def revive(self, child: Child) -> None:
        process = child.process
        now_s = time.monotonic()
        if process is not None and process.poll() is None:
            if child.failures and now_s - child.started_s > HEALTHY_AFTER_S:
                child.failures = 0
            return
        if not child.restart_at_s:
            pause_s = min(MAX_PAUSE_S, 2**child.failures)
            child.failures += 1
            child.restart_at_s = now_s + pause_s
            code = None if process is None else process.returncode
            log.error("%s ended with code %s; starting it again in %d s", child.name, code, pause_s)
        elif now_s >= child.restart_at_s:
            self._spawn(child)

    def _await_port(self, port: int) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        child = self.child("code server")
        while time.monotonic() < deadline_s:
            if child.process is not None and child.process.poll() is not None:
                raise SystemExit("flicker: the code server did not start; its messages are above")
            with socket.socket() as probe:
                probe.settimeout(0.5)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"flicker: the code server did not answer within {START_TIMEOUT_S} s")


def become_supervisor(settings: Settings, *, host: str, port: int | None) -> NoReturn:
    """Run from now on as nothing but the supervisor, under the same process id: what the command needed to check the
    configuration is 30 MB, which would stay for as long as Flicker runs.

    It goes on in DAGSTER_HOME, as the children do: `python -m` imports from the working directory first.
    """
    env = os.environ | settings.to_env()  # absolute paths
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    os.chdir(home)
    command = [sys.executable, "-m", "flicker_dagster.cli.supervise", host, *([] if port is None else [str(port)])]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, env)


def run_foreground(settings: Settings, *, host: str, port: int | None) -> int:
    """Run until SIGTERM or Ctrl-C; answers the exit code."""
    supervisor = Supervisor(settings, host=host, port=port)

    def ask_to_stop(signum: int, _frame: object) -> None:
        log.info("%s received: draining", signal.Signals(signum).name)
        supervisor.stopping.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    try:
        supervisor.start()
        supervisor.watch()
    finally:
        supervisor.stop()
    log.info("stopped")
    return 0


def dagster_home(settings: Settings) -> Path:
    return Path(settings.work_dir, "dagster").absolute()


def prepare_home(home: Path) -> None:
    """Put the packaged `dagster.yaml` into DAGSTER_HOME unless the operator has put one there."""
    target = home / "dagster.yaml"
    if not target.exists():
        with resources.as_file(resources.files("flicker_dagster.orchestration") / "dagster.yaml") as packaged:
            shutil.copyfile(packaged, target)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> int:
    """`python -m flicker_dagster.cli.supervise HOST [PORT]`, with the settings in the environment."""
    log_to_console()
    host, *port = sys.argv[1:]
    return run_foreground(Settings.from_env(), host=host, port=int(port[0]) if port else None)


def _die_with_parent() -> None:
    """In the child: ask the kernel for SIGTERM when the supervisor dies, even by SIGKILL. Two daemons must never run."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        log.debug("process %d had ended already", process.pid)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
