"""Run code server, Dagster daemon and web UI as children of one foreground process.

A child that dies is started again, with a growing pause. A valid change of the configuration takes effect by a new code
server, which takes the place of the old one when it has loaded it; an invalid one changes nothing.

SIGTERM and Ctrl-C drain: first the daemon stops asking for runs, then the runs in flight have their time, then
everything ends, within STOP_S whatever hangs, and the exit code is 0. A second signal does not wait for runs.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import NoReturn

from flicker_dagster.cli.children import Child, processes_with, send_all
from flicker_dagster.cli.code_server import START_TIMEOUT_S, CodeServers, write_workspace
from flicker_dagster.cli.config_watch import ConfigWatch
from flicker_dagster.cli.refusals import WorkDirLock, refuse_taken_port
from flicker_dagster.deliver import standard_output
from flicker_dagster.errors import StartRefused
from flicker_dagster.orchestration.applied import AppliedConfig
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.names import LOCATION
from flicker_dagster.orchestration.run_socket import START_VAR, is_idle, lock_path
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.socket_dir import forget_socket_dir, socket_dir
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.private import tighten

log = logging.getLogger("flicker.supervise")

LOOK_S = 0.1

#: A stop ends within STOP_S. Seconds since it began: until when daemon and web UI may take their leave, runs in flight
#: may finish, and what was asked to end may do so.
STOP_S = 45
LEAVE_S, FINISH_S, END_S = 8, 30, 36

EXIT_REFUSED = 2

_STOPS = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Starts the children, keeps them up, and stops them in the order that loses no work."""

    def __init__(self, settings: Settings, *, host: str = "127.0.0.1", port: int | None = 3000) -> None:
        self.settings = settings
        self.host = host
        self.ui_port = port
        self.home = dagster_home(settings)
        self.stopping = threading.Event()
        self.hurry = threading.Event()
        self.code: CodeServers | None = None
        self._others: list[Child] = []
        self._start = secrets.token_hex(4)
        self._lock: WorkDirLock | None = None
        self._sockets = self._runs_lock = ""
        self._stdout = standard_output.CLOSED
        self._applied = AppliedConfig(settings.work_dir, settings.config_path)
        self._config = ConfigWatch(settings.config_path)

    @property
    def children(self) -> list[Child]:
        return [*([] if self.code is None else self.code.all), *self._others]

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def start(self) -> None:
        """Start everything; returns when the code server answers, or when it was asked to stop.

        Raises StartRefused where another Flicker or a port is in the way, before anything is started; SystemExit if
        the code server does not start.
        """
        self._stdout = standard_output.hand_down()
        make_directory(self.home)
        self._lock = WorkDirLock(self.settings.work_dir)
        if self.ui_port is not None:
            refuse_taken_port(self.host, self.ui_port)
        for folder in own_folders(self.settings):
            tighten(folder)
        prepare_home(self.home)
        self._sockets = socket_dir(str(self.home))
        self._runs_lock = lock_path(str(self.home), self._start)
        for left in os.listdir(self._sockets):  # by starts that were killed
            os.unlink(os.path.join(self._sockets, left))
        workspace = self.home / "workspace.yaml"
        write_workspace(workspace, self._sockets, location=LOCATION)
        self._config = ConfigWatch(self.settings.config_path)
        self.code = CodeServers(self._sockets, location=LOCATION, spawn=self._spawn)
        self._await_code_server(self.code)
        if self.stopping.is_set():
            return
        python = [sys.executable, "-W", "ignore", "-m"]
        self._others.append(Child("daemon", [*python, "dagster._daemon", "run", "-w", str(workspace)]))
        if self.ui_port is not None:
            web = [*python, "flicker_dagster.web", "-w", str(workspace)]
            web += ["--host", self.host, "--port", str(self.ui_port)]
            self._others.append(Child("web UI", web))
            log.info("Dagster UI at http://%s:%d", self.host, self.ui_port)
        for child in self._others:
            self._spawn(child)

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Look after everything, until asked to stop."""
        while not self.stopping.is_set() and not until():
            self.look()
            self.stopping.wait(0.2)

    def look(self) -> None:
        """Start again what has died, and have a changed configuration taken over."""
        for child in self._others:
            if child.due():
                self._spawn(child)
        if self.code is None:
            return
        if self._config.look(env=self._env(), cwd=self.home) == "valid":
            checked = self._applied.checked()
            if checked == self._applied.in_force():
                self.code.give_up()
                log.info("%s holds what is in force", self.settings.config_path)
            else:
                self.code.load(checked)
        if self.code.look(in_force=self._applied.in_force()):
            log.info("%s has changed and is in force", self.settings.config_path)

    def stop(self) -> None:
        """Drain and end, within STOP_S whatever hangs. Safe to call twice."""
        self.stopping.set()
        began_s = time.monotonic()
        serving = [] if self.code is None else self.code.all
        self._config.stop()
        for child in self._others:
            child.signal(signal.SIGTERM)
        self._wait(lambda: not any(child.runs for child in self._others), began_s + LEAVE_S)
        for child in self._others:
            if child.runs:
                log.warning("%s did not end in time and is killed; nothing is lost by it", child.name)
            child.kill()
        for child in serving:
            child.signal(signal.SIGTERM)  # runs that it started itself it waits for
        if not self._idle():
            log.info("waiting up to %d s for runs in flight", FINISH_S)
        if not self._wait(lambda: self._idle() and not any(child.runs for child in serving), began_s + FINISH_S):
            log.warning("what is still at work is ended; nothing is lost by it, the next start goes on from there")
        self._end_all(began_s)
        for child in self.children:
            for thread in child.output:
                thread.join(2)
        self.code = None
        self._others.clear()
        self._forget_sockets()
        standard_output.take_back(self._stdout)
        if self._lock is not None:
            self._lock.release()

    def _spawn(self, child: Child, more: Mapping[str, str] | None = None) -> None:
        child.spawn(env=self._env() | dict(more or {}), cwd=self.home)

    def _env(self) -> dict[str, str]:
        env = os.environ | self.settings.to_env() | {"DAGSTER_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        env[START_VAR] = self._start
        env[standard_output.VARIABLE] = self._stdout
        env.setdefault("DAGSTER_DISABLE_TELEMETRY", "true")
        env.setdefault("MALLOC_ARENA_MAX", "2")  # glibc gives each thread a heap of its own: 10 MB for nothing
        return env

    def _await_code_server(self, code: CodeServers) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s and not self.stopping.is_set():
            if not code.current.runs:
                raise SystemExit("flicker: the code server did not start; its messages are above")
            if code.current.take_over():
                return
            self.stopping.wait(LOOK_S)
        if not self.stopping.is_set():
            raise SystemExit(f"flicker: the code server did not answer within {START_TIMEOUT_S} s")

    def _idle(self) -> bool:
        """Has every run that this start forked ended?"""
        try:
            return not self._runs_lock or is_idle(self._runs_lock)
        except FileNotFoundError:
            return True

    def _end_all(self, began_s: float) -> None:
        """Ask whatever is left of this start to end, and kill what does not: children of children included."""
        left = self._left()
        send_all(left, signal.SIGTERM)
        self._wait(lambda: not self._left(), min(began_s + END_S, time.monotonic() + END_S - FINISH_S), hurried_s=2)
        deadline_s = began_s + STOP_S - 3
        while (left := self._left()) and time.monotonic() < deadline_s:
            send_all(left, signal.SIGKILL)
            time.sleep(LOOK_S)
        for child in self.children:
            child.kill()

    def _left(self) -> list[int]:
        for child in self.children:
            _ = child.runs  # takes note of those that have ended
        own = [child.process.pid for child in self.children if child.runs and child.process is not None]
        return sorted({*own, *processes_with(START_VAR, self._start)})

    def _wait(self, condition: Callable[[], bool], deadline_s: float, *, hurried_s: float = 0.0) -> bool:
        """Wait for it until a moment (monotonic), or `hurried_s` once a second signal came. Did it come true?"""
        while not condition():
            now_s = time.monotonic()
            if self.hurry.is_set():
                deadline_s, hurried_s = min(deadline_s, now_s + hurried_s), STOP_S
            if now_s >= deadline_s:
                return False
            time.sleep(LOOK_S)
        return True

    def _forget_sockets(self) -> None:
        if self._sockets:
            with suppress(OSError):
                for left in os.listdir(self._sockets):
                    os.unlink(os.path.join(self._sockets, left))
            forget_socket_dir(str(self.home))


def become_supervisor(settings: Settings, *, host: str, port: int | None) -> NoReturn:
    """Run from now on as nothing but the supervisor, under the same process id: what the command needed to check the
    configuration is 30 MB, which would stay for as long as Flicker runs.

    It goes on in DAGSTER_HOME, as the children do: `python -m` imports from the working directory first.
    """
    env = os.environ | settings.to_env()  # absolute paths
    home = dagster_home(settings)
    make_directory(home)
    os.chdir(home)
    command = [sys.executable, "-m", "flicker_dagster.cli.supervise", host, *([] if port is None else [str(port)])]
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # until there is a handler again: a stop must not be a death
    os.execve(sys.executable, command, env)


def run_foreground(settings: Settings, *, host: str, port: int | None) -> int:
    """Run until SIGTERM or Ctrl-C; answers the exit code. Raises StartRefused."""
    supervisor = Supervisor(settings, host=host, port=port)

    def ask_to_stop(signum: int, _frame: object) -> None:
        again = supervisor.stopping.is_set()
        log.info(
            "%s received%s", signal.Signals(signum).name, " again: runs are not waited for" if again else ": draining"
        )
        (supervisor.hurry if again else supervisor.stopping).set()

    for signum in _STOPS:
        signal.signal(signum, ask_to_stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    try:
        supervisor.start()
        supervisor.watch()
    finally:
        supervisor.stop()
    log.info("stopped")
    return 0


def dagster_home(settings: Settings) -> Path:
    return Path(settings.work_dir, "dagster").absolute()


def own_folders(settings: Settings) -> list[str]:
    """What we and Dagster make below the work directory, and below a local state directory."""
    below = [(settings.work_dir, name) for name in ("dagster", "spool", "cache")]
    if not settings.state_dir.startswith("s3://"):
        below += [(settings.state_dir, name) for name in ("ledger", "dead-letters", "positions", "rewinds")]
    return [os.path.join(parent, name) for parent, name in below]


def prepare_home(home: Path) -> None:
    """Put the packaged `dagster.yaml` into DAGSTER_HOME unless the operator has put one there."""
    target = home / "dagster.yaml"
    if not target.exists():
        packaged = resources.files("flicker_dagster.orchestration") / "dagster.yaml"
        replace_file(target, packaged.read_bytes(), durable=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> int:
    """`python -m flicker_dagster.cli.supervise HOST [PORT]`, with the settings in the environment."""
    log_to_console()
    host, *port = sys.argv[1:]
    try:
        return run_foreground(Settings.from_env(), host=host, port=int(port[0]) if port else None)
    except StartRefused as refused:
        print(f"flicker: {refused}", file=sys.stderr)
        return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
