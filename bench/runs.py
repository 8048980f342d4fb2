"""What one Dagster run costs, by the warm launcher and by Dagster's own, with nothing to collect and with 100 events; and
what a tick costs that skips. Instance, code server and runs are the real ones, on SQLite."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.measure import Row, cpu_s, descendants, own_cpu_s
from bench.servers import Servers
from bench.sources import entry
from bench.stack import a_home, run_server_pid

#: Each run is of a source of its own, so that none finds what an earlier one left.
RUNS = 8
TICKS = 30


def runs(_events: int) -> Iterator[Row]:
    """CPU of the launching call, the code server, the run server and the run; the daemon's own part is in `fleet`."""
    for warm in (True, False):
        for events in (0, 100):
            with Servers() as servers:
                names = [f"s{number}" for number in range(RUNS + 1)]
                path = "/busy" if events else "/quiet"
                sources = [entry(servers, name=name, path=f"{path}/{name}") for name in names]
                with a_home(sources, warm=warm) as home:
                    figures = _launched(home, names)
                assert servers.tally.events.value == events * len(names)
            who = f"{'warm launcher' if warm else 'default launcher'}, {events} events"
            yield Row("one Dagster run", who, figures, "≤ 0.4 CPU-s, launch ≤ 20 ms" if warm else "")
    with Servers() as servers, a_home([entry(servers, path="/quiet")]) as home:
        yield Row("idle", "a tick that skips, its probe included", {"CPU ms": round(_skipping_tick_s(home) * 1000, 2)})


def _launched(home: Path, names: list[str]) -> dict[str, Any]:
    """Runs one after the other; the first, which warms everything, is not counted."""
    import dagster as dg
    from dagster._core.launcher.base import LaunchRunContext
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget

    from flicker_dagster.definitions import defs

    target = ModuleTarget(
        "flicker_dagster.definitions", attribute=None, working_directory=None, location_name="flicker"
    )
    cpu: list[float] = []
    calls: list[float] = []
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home / "dagster")))
        workspace = stack.enter_context(WorkspaceProcessContext(instance, target)).create_request_context()
        stack.callback(_end_run_server, home)
        repository = next(iter(workspace.get_code_location("flicker").get_repositories().values()))
        code_server = {pid for pid in descendants(os.getpid()) if "grpc" in _command(pid)}
        for name in names:
            job = repository.get_full_job(f"{name}_job")
            run = instance.create_run_for_job(
                job_def=defs().resolve_job_def(job.name),
                remote_job_origin=job.get_remote_origin(),
                job_code_origin=job.get_python_origin(),
            )
            before_s, began = _spent_s(home, code_server), time.monotonic()
            instance.run_launcher.launch_run(LaunchRunContext(run, workspace))
            calls.append(time.monotonic() - began)
            looking_s = own_cpu_s()
            _await_end(instance, run.run_id, home, code_server)
            looking_s = own_cpu_s() - looking_s
            cpu.append(_spent_s(home, code_server) - before_s - looking_s)
    _await(lambda: not any(map(_command, code_server)))  # it writes into the home until its end
    return {
        "CPU-s": round(statistics.median(cpu[1:]), 3),
        "CPU-s max": round(max(cpu[1:]), 3),
        "launch ms": round(statistics.median(calls[1:]) * 1000, 1),
        "n": len(cpu) - 1,
    }


def _spent_s(home: Path, code_server: set[int]) -> float:
    """CPU seconds so far of this process, the code server, the run server, and of their runs that have ended."""
    run_server = run_server_pid(home)
    return own_cpu_s() + sum(map(cpu_s, code_server)) + (cpu_s(run_server) if run_server else 0.0)


def _await_end(instance: Any, run_id: str, home: Path, code_server: set[int]) -> None:
    """Until the run has succeeded and its process is reaped, so that its CPU counts as its parent's."""
    _await(lambda: instance.get_run_by_id(run_id).is_finished and not _running(home, code_server))
    assert instance.get_run_by_id(run_id).is_success


def _running(home: Path, code_server: set[int]) -> bool:
    run_server = run_server_pid(home)
    servers = code_server | ({run_server} if run_server else set())
    below = {child for server in servers for child in descendants(server)} - code_server
    return any("resource_tracker" not in _command(pid) for pid in below)  # Python's own, which stays


def _await(what: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _command(pid: int) -> str:
    """The command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _end_run_server(home: Path) -> None:
    run_server = run_server_pid(home)
    if run_server is not None:
        os.kill(run_server, signal.SIGTERM)


def _skipping_tick_s(home: Path) -> float:
    """CPU seconds of the sensor's function where a look finds nothing new, in this process."""
    import dagster as dg

    from flicker_dagster.definitions import defs

    sensor = defs().resolve_sensor_def("bench_live")
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        cursor: str | None = None

        def tick() -> Any:
            nonlocal cursor
            context = dg.build_sensor_context(instance=instance, cursor=cursor, sensor_name=sensor.name)
            done = sensor.evaluate_tick(context)
            cursor = done.cursor or cursor
            return done

        [request] = tick().run_requests
        job = defs().resolve_job_def("bench_job")
        assert job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=instance).success
        assert tick().skip_message
        before_s = own_cpu_s()
        for _ in range(TICKS):
            assert "probed" in tick().skip_message
        return (own_cpu_s() - before_s) / TICKS
