"""A real Dagster instance with the real code location, its vendor and SIEM simulated; runs are launched by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher.base import LaunchRunContext

import flicker_dagster
from flicker_dagster.orchestration import names, run_socket
from flicker_dagster.orchestration.launcher import SERVED_MODULE
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.waiting import until

DAGSTER_YAML = Path(flicker_dagster.__file__).parent / "orchestration" / "dagster.yaml"


class Launched:
    """An instance whose runs the warm launcher starts. `config` is written anew by `configure`."""

    def __init__(self, home: Path, vendor: Plain, siem: Receiver, storage: str) -> None:
        self.home, self.vendor, self.siem = home, vendor, siem
        (home / "dagster.yaml").write_text(DAGSTER_YAML.read_text() + storage)
        self.configure()
        self.instance = dg.DagsterInstance.from_config(str(home))

    def configure(self, *, path: str = "/siem") -> None:
        source: dict[str, Any] = {
            "name": "plain",
            "endpoint": f"{self.vendor.url}/events",
            "polling_frequency_ms": 5_000,
            "results_field": "data.events",
            "id_field": "id",
            "timestamp_field": "time",
            "time_filter_param": "since",
            "pagination": {
                "pagination_type": "cursor", "cursor_param": "cursor", "next_cursor_field": "meta.next_cursor",
            },
            "start_from": "1h",
            "destination": {"type": "http", "endpoint": f"{self.siem.url}{path}"},
        }  # fmt: skip
        (self.home / "config.yaml").write_text(json.dumps({"api_sources": [source]}))

    def launch(self) -> str:
        repository = ReconstructableRepository(ModuleCodePointer(SERVED_MODULE, "defs"))
        job = repository.get_reconstructable_job("plain_job")
        run = self.instance.create_run_for_job(
            job_def=job.get_definition(),
            job_code_origin=job.get_python_origin(),
            tags={names.SOURCE_TAG: "plain", names.MODE_TAG: names.LIVE},
        )
        self.instance.run_launcher.launch_run(LaunchRunContext(run, None))
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def finished(self, run_id: str) -> str:
        until(lambda: self.run(run_id).is_finished, f"run {run_id} has finished")
        return self.run(run_id).status.value

    def server_pid(self) -> int | None:
        """The run server that takes runs now; one that finishes its last ones answers no more."""
        return next(iter(run_socket.run_servers(str(self.home)).values()), None)

    def close(self) -> None:
        pid = self.server_pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        self.instance.dispose()


@contextmanager
def launched(home: Path, storage: str = "") -> Iterator[Launched]:
    """`storage` is a block of dagster.yaml, empty for SQLite."""
    variables = {
        "FLICKER_CONFIG": str(home / "config.yaml"),
        "FLICKER_WORK_DIR": str(home / "work"),
        "FLICKER_STATE_DIR": str(home / "state"),
        "DAGSTER_HOME": str(home),
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    vendor, siem = Plain(per_minute=10**6), Receiver()
    scene = Launched(home, vendor, siem, storage)
    try:
        yield scene
    finally:
        scene.close()
        vendor.close()
        siem.close()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def postgres() -> Iterator[str]:
    """A private PostgreSQL server; gives the `storage` block that names it. `.ci/run` installs the server."""
    programs = [Path(found).parent for found in [shutil.which("postgres")] if found]
    programs += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    assert programs, "this test needs a PostgreSQL server; .ci/run installs it"
    who = {"user": "postgres"} if os.getuid() == 0 else {}  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as directory:
        if who:
            shutil.chown(directory, "postgres")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        data = f"{directory}/data"
        initdb = [programs[0] / "initdb", "-D", data, "-U", "dagster", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=directory, **who)
        server = subprocess.Popen(
            [programs[0] / "postgres", "-D", data, "-p", str(port), "-k", directory, "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory, **who,
        )  # fmt: skip
        try:
            until(lambda: _answers(port), "PostgreSQL answers")
            url = f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"
            yield f"\nstorage:\n  postgres:\n    postgres_url: {url}\n"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            server.wait(30)


def _answers(port: int) -> bool:
    import psycopg2

    try:
        psycopg2.connect(host="127.0.0.1", port=port, user="dagster", dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True
