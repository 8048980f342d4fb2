"""The real thing for the benches of Dagster's side: a home, a configuration, and `flicker`'s own supervisor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import cpu_s, descendants, memory_mb
from flicker_dagster.cli.supervise import free_port
from flicker_dagster.orchestration.run_socket import run_servers


@contextmanager
def a_home(sources: list[dict[str, Any]], *, warm: bool = True) -> Iterator[Path]:
    """A directory with config.yaml, and the packaged dagster.yaml in `dagster/`; the environment names them."""
    with tempfile.TemporaryDirectory(prefix="flicker-bench-") as directory:
        home = Path(directory)
        (home / "config.yaml").write_text(json.dumps({"api_sources": sources}))
        (home / "dagster").mkdir()
        import flicker_dagster

        packaged = Path(flicker_dagster.__file__).parent / "orchestration" / "dagster.yaml"
        shutil.copy(packaged, home / "dagster")
        if not warm:
            text = packaged.read_text().replace("warm: true", "warm: false")
            (home / "dagster" / "dagster.yaml").write_text(text)
        os.environ |= {
            "FLICKER_CONFIG": str(home / "config.yaml"),
            "FLICKER_WORK_DIR": directory,
            "FLICKER_STATE_DIR": directory,
            "DAGSTER_HOME": str(home / "dagster"),
            "FLICKER_LOG": "warning",
        }
        yield home


def run_server_pid(home: Path) -> int | None:
    return next(iter(run_servers(str(home / "dagster")).values()), None)


@dataclass
class Usage:
    """Of every process of a stack: CPU seconds so far, resident and proportional megabytes now."""

    cpu_s: float
    rss_mb: float
    pss_mb: float


class Stack:
    """The command `flicker` in the foreground, as a context manager."""

    def __init__(self, home: Path, *, ui: bool) -> None:
        self.home = home
        flicker = str(Path(sys.executable).with_name("flicker"))
        self._command = [flicker, "-c", str(home / "config.yaml"), "--track"]
        self._command += ["--state-dir", str(home), "--work-dir", str(home)]
        self._command += ["--port", str(free_port())] if ui else ["--no-ui"]

    def __enter__(self) -> Stack:
        self._log = (self.home / "log").open("wb")
        self._flicker = subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._flicker.terminate()
        self._flicker.wait(90)
        self._log.close()

    def usage(self) -> Usage:
        """Of the supervisor, what it started, and the run server, which is in a session of its own."""
        assert self._flicker.poll() is None, (self.home / "log").read_text()[-2000:]
        pids = {self._flicker.pid, *descendants(self._flicker.pid)}
        server = run_server_pid(self.home)
        if server is not None:
            pids |= {server, *descendants(server)}
        memory = [memory_mb(pid) for pid in pids]
        return Usage(sum(map(cpu_s, pids)), sum(rss for rss, _ in memory), sum(pss for _, pss in memory))
