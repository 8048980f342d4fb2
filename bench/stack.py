"""The real thing for the benches of Dagster's side: a home, a configuration, and `flicker`'s own supervisor."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import cpu_s, descendants, memory_mb
from flicker_dagster.orchestration.run_socket import RunServerGone, ask, socket_path


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
    try:
        return ask(socket_path(str(home / "dagster")), {"do": "ping"})["pid"]
    except RunServerGone:
        return None


@dataclass
class Usage:
    """Of every process of a stack: CPU seconds so far, resident and proportional megabytes now."""

    cpu_s: float
    rss_mb: float
    pss_mb: float


class Stack:
    """`flicker` as in the foreground, within this process; its children are what is measured."""

    def __init__(self, home: Path, *, ui: bool) -> None:
        from flicker_dagster.cli.supervise import Supervisor
        from flicker_dagster.orchestration.settings import Settings

        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        settings = Settings(config_path=str(home / "config.yaml"), state_dir=str(home), work_dir=str(home))
        self.home = home
        self.supervisor = Supervisor(settings, port=port if ui else None)

    def __enter__(self) -> Stack:
        self.supervisor.start()
        self._watch = threading.Thread(target=self.supervisor.watch, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.stop()
        self._watch.join()

    def usage(self) -> Usage:
        """The children, what they started, and the run server, which is in a session of its own."""
        pids = set()
        for child in self.supervisor.children:
            if child.process is not None:
                pids |= {child.process.pid, *descendants(child.process.pid)}
        server = run_server_pid(self.home)
        if server is not None:
            pids |= {server, *descendants(server)}
        memory = [memory_mb(pid) for pid in pids]
        return Usage(sum(map(cpu_s, pids)), sum(rss for rss, _ in memory), sum(pss for _, pss in memory))
