"""What one Dagster run costs, by the warm launcher and by Dagster's own, with nothing to collect and with 100 events."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import Row, cpu_s, own_cpu_s
from bench.servers import Servers
from bench.sources import entry
from bench.stack import a_home, run_server_pid

RUNS = 8


def runs(_events: int) -> Iterator[Row]:
    """CPU of the launching call and of the run's process; the daemon's part is in `fleet`."""
    for warm in (True, False):
        for events in (0, 100):
            with Servers() as servers:
                names = [f"s{number}" for number in range(RUNS + 1)]
                path = "/busy" if events else "/quiet"
                sources = [entry(servers, name=name, path=f"{path}/{name}") for name in names]
                with a_home(sources, warm=warm) as home:
                    figures = _warm(home, names) if warm else _default(home, names[:4])
            who = f"{'warm launcher' if warm else 'default launcher'}, {events} events"
            yield Row("one Dagster run", who, figures, "≤ 0.4 CPU-s, launch ≤ 20 ms" if warm else "")


def _warm(home: Path, names: list[str]) -> dict[str, Any]:
    instance, launch = _instance(home)
    cpu: list[float] = []
    calls: list[float] = []
    launch(names[0], wait=True)  # starts the run server
    for name in names[1:]:
        server = run_server_pid(home)
        assert server is not None
        before = cpu_s(server) + own_cpu_s()
        calls.append(launch(name, wait=False))
        own_s = own_cpu_s()
        _await(instance, name)
        idle_s = own_cpu_s() - own_s  # our own looking whether it has finished
        _until_reaped(server)
        cpu.append(cpu_s(server) + own_cpu_s() - before - idle_s)
    os.kill(run_server_pid(home) or 0, signal.SIGTERM)
    return _figures(cpu, calls)


def _default(home: Path, names: list[str]) -> dict[str, Any]:
    """Dagster's own launcher starts `dagster api execute_run`-like processes from a code server; here its command line."""
    import subprocess
    import sys

    instance, launch = _instance(home)
    cpu, calls = [], []
    for name in names:
        run_id, origin = launch(name, wait=False, only_create=True)
        before, began = own_cpu_s(), time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "dagster", "api", "execute_run", origin],
            check=True,
            capture_output=True,
            timeout=120,
        )
        calls.append(time.monotonic() - began)
        cpu.append(own_cpu_s() - before)
        assert instance.get_run_by_id(run_id).is_finished
    figures = _figures(cpu, calls)
    del figures["launch ms"]  # its call waits for the interpreter to start
    return figures


def _figures(cpu: list[float], calls: list[float]) -> dict[str, Any]:
    return {
        "CPU-s": round(statistics.median(cpu), 3),
        "CPU-s max": round(max(cpu), 3),
        "launch ms": round(statistics.median(calls) * 1000, 1),
    }


def _instance(home: Path) -> tuple[Any, Any]:
    import dagster as dg
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository
    from dagster._core.launcher.base import LaunchRunContext
    from dagster._grpc.types import ExecuteRunArgs
    from dagster._serdes import serialize_value

    instance = dg.DagsterInstance.from_config(str(home / "dagster"))
    repository = ReconstructableRepository(ModuleCodePointer("flicker_dagster.definitions", "defs"))

    def launch(name: str, *, wait: bool, only_create: bool = False) -> Any:
        job = repository.get_reconstructable_job(f"{name}_job")
        origin = job.get_python_origin()
        run = instance.create_run_for_job(job_def=job.get_definition(), job_code_origin=origin, tags={"name": name})
        if only_create:
            return run.run_id, serialize_value(ExecuteRunArgs(origin, run.run_id, instance.get_ref()))
        began = time.monotonic()
        instance.run_launcher.launch_run(LaunchRunContext(run, None))
        took_s = time.monotonic() - began
        if wait:
            _await(instance, name)
        return took_s

    return instance, launch


def _await(instance: Any, name: str) -> None:
    import dagster as dg

    deadline_s = time.monotonic() + 60
    while True:
        runs = instance.get_runs(dg.RunsFilter(tags={"name": name}))
        if runs and runs[0].is_finished:
            assert runs[0].status == dg.DagsterRunStatus.SUCCESS
            return
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _until_reaped(server: int) -> None:
    from bench.measure import descendants

    deadline_s = time.monotonic() + 10
    while descendants(server) and time.monotonic() < deadline_s:
        time.sleep(0.02)
