"""The same events through the rivals and through Flicker, paired in one run, whole processes counted."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.hot import hot
from bench.measure import Row
from bench.servers import Servers

HERE = Path(__file__).parent

#: Name, what it is asked to do, and what it guarantees.
PEERS = {
    "floor": "requests + orjson → file; guarantees nothing",
    "dlt": "dlt 1.31 rest_api → jsonl.gz; at least once",
    "airbyte": "airbyte-cdk 7.39 manifest → stdout; at least once",
    "grove": "Grove 2.2 Okta → gzip files; at least once",
}


def peers(events: int) -> Iterator[Row]:
    """At most 500,000 events: the rivals take minutes for more."""
    events = min(events, 500_000)
    ours = next(iter(hot(events)))
    ours_cpu = float(ours.figures["CPU-s/M"])
    yield Row("peers", "Flicker → spool, ledger, gzip, HTTP; each once", ours.figures)
    for name, who in PEERS.items():
        python = HERE.parent / ".venv-bench" / name / "bin" / "python"
        if not python.exists():
            yield Row("peers", who, {"events": "not installed"})
            continue
        with Servers(events, keep_bodies=False) as servers, tempfile.TemporaryDirectory() as directory:
            figures = _run(
                [str(python), str(HERE / "peers" / f"{name}.py"), str(servers.vendor_port), directory], events
            )
        figures["× Flicker"] = round(float(figures["CPU-s/M"]) / ours_cpu, 1)
        yield Row("peers", who, figures, "" if name == "floor" else "≥ 8 × our CPU")


def _run(command: list[str], events: int) -> dict[str, float | int | str]:
    """A process with everything below it; the rival's own counting of its output is a small part."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdout=said, stderr=complaints)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        said.seek(0)
        lines = said.read().split()
        if status or not lines or int(lines[-1]) != events:
            complaints.seek(0)
            raise RuntimeError(f"{command[1]} failed ({status}), counted {lines[-1:]}: {complaints.read()[-2000:]!r}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return {"events": events, "CPU-s/M": round(cpu_s / events * 1e6, 1), "peak MB": round(usage.ru_maxrss / 1024)}
