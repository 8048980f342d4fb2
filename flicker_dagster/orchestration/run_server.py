"""The run server: a thread-free process with everything imported, which forks one child per run.

It is started by the warm launcher, serves only the process that started it, and ends with it, however early that goes:
its runs have DRAIN_S to finish then. It retires (answers `stale`) when the code it has loaded has changed on disk; when
another configuration is in force it loads that in place, so that no run waits for a new server. Which one a run loads
does not depend on that: it is the one that asked for it.
"""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from flicker_dagster.orchestration.applied import DIGEST_VAR, AppliedConfig
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.parent import end_with
from flicker_dagster.orchestration.settings import Settings

# Nothing heavy is imported here: until `end_with` was called, nothing would end a server whose parent is gone.

log = logging.getLogger("flicker.run_server")

TICK_S = 1.0
#: What runs in flight have when whoever started the server is gone or ends it; then SIGTERM, and SIGKILL after KILL_S.
DRAIN_S = 30.0
KILL_S = 5.0
MODULE = "flicker_dagster.definitions"


class RunServer:
    """Accepts requests at a Unix socket, one at a time; each takes milliseconds."""

    def __init__(self, path: str, parent: int, code: object, digest: str | None) -> None:
        """`code` and `digest` are of the code and the configuration that are loaded."""
        self.path = path
        self.parent = parent
        self.children: dict[int, dict[str, str]] = {}  # pid → request
        self.retired = False
        self.asked_to_end = False
        self.ending_s: float | None = None  # since when, monotonic
        self.signalled: dict[int, int] = {}  # pid → the last signal that ended its patience
        self.inode = 0
        self.code = code
        self.digest = digest
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def serve(self) -> None:
        """Serve until nobody needs us. Raises RuntimeError if a thread is running: a fork of it could deadlock."""
        if _has_threads():
            raise RuntimeError(f"threads are running after the warm-up: {threading.enumerate()}")
        Path(self.path).unlink(missing_ok=True)
        self.listener.bind(self.path)
        self.inode = os.stat(self.path).st_ino
        self.listener.listen(64)
        signal.set_wakeup_fd(self.wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while not (self._unneeded() and not self.children):
            ready, _, _ = select.select([self.wake_read, *([] if self.retired else [self.listener])], [], [], TICK_S)
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
            if self.listener in ready:
                self._answer()
            self._reap()
            self._hurry()
        self._retire()

    def _on_sigterm(self, *_: object) -> None:
        self.asked_to_end = True  # no more here: the loop waits on the very socket that retiring closes

    def _unneeded(self) -> bool:
        if self.asked_to_end or os.getppid() != self.parent:
            self._retire()
            if self.ending_s is None:
                self.ending_s = time.monotonic()
        elif self._was_replaced():
            self._retire()
        return self.retired

    def _was_replaced(self) -> bool:
        """Has the socket's name become another's, as when we were stopped for too long to answer?"""
        try:
            return os.stat(self.path).st_ino != self.inode
        except FileNotFoundError:
            return True

    def _hurry(self) -> None:
        """Runs that are still at work long after the end was asked for: a vendor or SIEM may never answer them."""
        if self.ending_s is None:
            return
        waited_s = time.monotonic() - self.ending_s
        if waited_s <= DRAIN_S:
            return
        signum = signal.SIGTERM if waited_s <= DRAIN_S + KILL_S else signal.SIGKILL
        for pid in self.children:
            if self.signalled.get(pid) != signum:
                self.signalled[pid] = signum
                os.kill(pid, signum)

    def _retire(self) -> None:
        """Take no more runs. The socket goes first, so that a successor can bind its own."""
        if not self.retired:
            self.retired = True
            self.listener.close()
            with suppress(FileNotFoundError):
                if os.stat(self.path).st_ino == self.inode:  # by now it may be a successor's
                    os.unlink(self.path)

    def _answer(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                request = json.loads(connection.makefile("rb").readline())
                answer = self._handle(request, connection)
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError) as error:
                log.warning("a request to the run server failed: %s", error)

    def _handle(self, request: dict[str, Any], connection: socket.socket) -> dict[str, Any]:
        if request["do"] == "ping":
            return {"pid": os.getpid()}
        if request["do"] == "terminate":
            return {"done": self._terminate(request["run_id"])}
        if request["do"] == "run":
            if not self._is_current():
                self._retire()
                return {"stale": True}
            if _has_hung_up(connection):  # it waited too long for us, and has had this run started elsewhere
                return {"error": "nobody waits for this run to be started"}
            return {"pid": self._fork(request, connection)}
        return {"error": f"unknown request {request['do']!r}"}

    def _is_current(self) -> bool:
        """Is the code that is loaded the one on disk? Another configuration than the loaded one is loaded."""
        if code_fingerprint() != self.code:
            return False
        digest = digest_in_force()
        if digest != self.digest:
            try:
                load(digest)
            except Exception as error:  # whatever a new server may make of it
                log.info("the configuration in force is loaded by a new run server: %s", error)
                return False
            self.digest = digest
        return not _has_threads()

    def _fork(self, request: dict[str, str], connection: socket.socket) -> int:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            connection.close()
            self._become_child()
            end_with(server)  # nobody would know how a run ended whose server is gone
            _exit_after(run_worker, request["run_id"], request["instance"])
        self.children[pid] = request
        return pid

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for name in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self.wake_read)
        os.close(self.wake_write)
        if not self.retired:
            self.listener.close()
        os.setsid()

    def _terminate(self, run_id: str) -> bool:
        for pid, request in self.children.items():
            if request["run_id"] == run_id:
                os.kill(pid, signal.SIGTERM)
                return True
        return False

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            request = self.children.pop(pid, None)
            if request is not None and status != 0:
                how = (
                    f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
                )
                reporter = os.fork()  # the server itself opens no database
                if reporter == 0:
                    self._become_child()
                    _exit_after(report_lost, request["run_id"], request["instance"], how)


def run_worker(run_id: str, packed_instance: str) -> None:
    """Execute one run. Dagster records its errors in the event log; the exit code only tells that it was finished."""
    from flicker_dagster.orchestration import internals
    from flicker_dagster.orchestration.launcher import PID_TAG

    with internals.capture_interrupts(), internals.instance_from(packed_instance) as instance:
        instance.add_run_tags(run_id, {PID_TAG: str(os.getpid())})
        run = instance.get_run_by_id(run_id)
        if run is None:
            raise RuntimeError(f"run {run_id} is not in the instance")
        for _event in internals.execute(run, instance):
            pass


def report_lost(run_id: str, packed_instance: str, how: str) -> None:
    from flicker_dagster.orchestration import internals, names

    with internals.instance_from(packed_instance) as instance:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            source = run.tags.get(names.SOURCE_TAG, run.job_name)
            log.error(
                "%s: the process of run %s ended with %s; the next run goes on from there", source, run_id[:8], how
            )
            internals.report_lost_worker(run, instance, how)


def digest_in_force() -> str | None:
    settings = Settings.from_env()
    return AppliedConfig(settings.work_dir, settings.config_path).in_force()


def load(digest: str | None) -> None:
    """Load the definitions of a configuration. Raises whatever that raises."""
    from flicker_dagster.orchestration import internals

    if digest is not None:
        os.environ[DIGEST_VAR] = digest
    gc.unfreeze()
    internals.preload(MODULE)
    gc.collect()
    gc.freeze()  # a collection in a child must not touch, and so copy, the pages it shares with us


def code_fingerprint() -> tuple[tuple[str, int, int], ...]:
    """Path, size and modification time of every file of this package."""
    package = Path(__file__).resolve().parent.parent
    files = sorted([*package.rglob("*.py"), *package.rglob("*.yaml")])
    return tuple((str(path), (found := path.stat()).st_size, found.st_mtime_ns) for path in files)


def _has_threads() -> bool:
    """A fork of a process with threads could deadlock."""
    return threading.active_count() != 1 or len(os.listdir("/proc/self/task")) != 1


def _has_hung_up(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def _exit_after(work: Any, *arguments: str) -> None:
    code = 1
    try:
        work(*arguments)
        code = 0
    except (KeyboardInterrupt, SystemExit):
        code = 0  # terminated on request: Dagster has recorded it
    except Exception:
        log.exception("run worker failed")
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    path, lock_file, parent = sys.argv[1], sys.argv[2], int(sys.argv[3])
    end_with(parent)
    log_to_console()
    lock = open(lock_file, "w")  # noqa: SIM115 — held, and inherited by every run, until the last one ends
    os.set_inheritable(lock.fileno(), True)
    fcntl.flock(lock, fcntl.LOCK_SH)
    from flicker_dagster.orchestration.warm_up import warm_up

    # Before anything is loaded: what changes meanwhile is found at the first run.
    code, digest = code_fingerprint(), digest_in_force()
    warm_up()
    load(digest)
    RunServer(path, parent, code, digest).serve()


if __name__ == "__main__":
    main()
