"""The warm launcher: forks runs from a preloaded process instead of starting an interpreter for each.

Dagster's default launcher spends 2.6 CPU seconds a run, almost all of it on imports. Switch it off in `dagster.yaml`
by naming Dagster's `DefaultRunLauncher`, or here with `warm: false`. It falls back to the default launcher, with a
warning, for other code locations, where a run server cannot be had, and where Dagster's internals have moved.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
from dagster import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._serdes.config_class import ConfigurableClassData

from flicker_dagster.deliver.standard_output import inherited
from flicker_dagster.orchestration import internals
from flicker_dagster.orchestration.run_socket import (
    RunServerGone,
    RunSocket,
    ask,
    own_socket,
    run_servers,
    starting,
)

log = logging.getLogger("flicker.launcher")

#: Marks a run that a run server forked: `<pid>`, for its termination and health.
PID_TAG = "flicker/run_pid"
START_TIMEOUT_S = 60.0
SERVED_MODULE = "flicker_dagster.definitions"

#: The one thread that starts run servers, and lives as long as this process: the kernel ends a child with the thread
#: that made it, and Dagster's own threads come and go.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starts run servers")


class WarmRunLauncher(DefaultRunLauncher):
    """`run_launcher: {module: flicker_dagster.orchestration.launcher, class: WarmRunLauncher}` in `dagster.yaml`."""

    def __init__(self, inst_data: ConfigurableClassData | None = None, *, warm: bool = True) -> None:
        super().__init__(inst_data)
        self._warm = warm
        self._complained = False

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"warm": dg.Field(bool, is_required=False, default_value=True)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> WarmRunLauncher:
        return cls(inst_data, warm=config_value.get("warm", True))

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        why_not = self._why_not_warm(run)
        if why_not is None:
            try:
                self._launch_warm(run)
                return
            except (RunServerGone, OSError) as error:
                why_not = str(error)
        if why_not and not self._complained:
            self._complained = True
            log.warning("runs start with Dagster's default launcher, which is slower: %s", why_not)
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        if run is None or run.is_finished:
            return False
        if PID_TAG not in run.tags:
            return super().terminate(run_id)
        self._instance.report_run_canceling(run)
        request = {"do": "terminate", "run_id": run_id}
        try:  # the web UI ends runs that the daemon's run server has forked
            return any(ask(path, request).get("done") for path in run_servers(self._instance.root_directory))
        except RunServerGone:
            return False

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        pid = run.tags.get(PID_TAG)
        if pid is None:  # launched by the default launcher, whose code server watches over it
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if _alive(int(pid)):
            return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=pid)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} has ended", run_worker_id=pid)

    def _why_not_warm(self, run: dg.DagsterRun) -> str | None:
        if not self._warm:
            return ""
        if not hasattr(os, "fork"):
            return "this system cannot fork"
        module = internals.module_of(run)
        if module != SERVED_MODULE:
            return f"the job comes from {module}, not from {SERVED_MODULE}"
        missing = internals.available()
        return missing and f"Dagster's internals have moved: {missing}"

    def _launch_warm(self, run: dg.DagsterRun) -> None:
        request = {"do": "run", "run_id": run.run_id, "instance": internals.pack(self._instance.get_ref())}
        own = own_socket(self._instance.root_directory)
        answer = self._asked(own.path, request)
        if answer is None:
            with starting(own.path):  # the queue launches from several threads
                answer = self._asked(own.path, request)
                if answer is None:
                    self._start_server(own)
                    answer = ask(own.path, request)
        if "pid" not in answer:
            raise RunServerGone(answer.get("error", "the run server gave no process"))
        self._run_ids.add(run.run_id)

    def _asked(self, path: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of the run server, or None where there is none or it has old code and is retiring."""
        try:
            answer = ask(path, request)
        except RunServerGone:
            return None
        return None if answer.get("stale") else answer

    def _start_server(self, own: RunSocket) -> None:
        """Start a run server and wait until it answers. An older one, told to retire, finishes its runs by itself."""
        server = _starter.submit(_spawn, own).result()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            try:
                ask(own.path, {"do": "ping"})
                return
            except RunServerGone:
                if server.poll() is not None:
                    raise RunServerGone(f"the run server ended with code {server.returncode} while starting") from None
                time.sleep(0.05)
        raise RunServerGone(f"the run server did not answer within {START_TIMEOUT_S:g} s")


def _spawn(own: RunSocket) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", "flicker_dagster.orchestration.run_server"]
    env = os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "false"}
    return subprocess.Popen(
        [*command, own.path, own.lock, str(os.getpid())],
        env=env,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=inherited(env),
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
