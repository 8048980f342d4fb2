"""The same events through the rivals and through Flicker, paired in one run, whole processes counted."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.hot import hot
from bench.measure import Row, descendants, peak_rss_mb
from bench.servers import Servers

HERE = Path(__file__).parent

#: The rivals take half a minute for so many.
MOST_EVENTS = 500_000


@dataclass(frozen=True)
class Rival:
    """What it is asked to do and guarantees, and where below `out/` its events end up."""

    who: str
    output: str


RIVALS = {
    "floor": Rival("requests + orjson → file; guarantees nothing", "events.jsonl"),
    "dlt": Rival("dlt 1.31 rest_api → jsonl.gz; at least once", "audit/events/*.jsonl.gz"),
    "airbyte": Rival("airbyte-cdk 7.39 manifest → stdout; at least once", "said"),
    "grove": Rival("Grove 2.2 Okta → gzip files; at least once", "**/*.json.gz"),
}


def peers(events: int) -> Iterator[Row]:
    """Flicker with all it does, then each rival with what it has. What they wrote is counted when they have ended."""
    events = min(events, MOST_EVENTS)
    ours = next(iter(hot(events)))
    yield Row("peers", "Flicker → spool, ledger, gzip, HTTP; each once", ours.figures)
    for name, rival in RIVALS.items():
        python = HERE.parent / ".venv-bench" / name / "bin" / "python"
        if not python.exists():
            yield Row("peers", rival.who, {"events": "not installed"})
            continue
        with Servers(events, keep_bodies=False) as servers, tempfile.TemporaryDirectory() as directory:
            script = str(HERE / "peers" / f"{name}.py")
            figures = _run([str(python), script, str(servers.vendor_port), directory], directory, events)
            missing, twice = _missing_and_twice(Path(directory, "out"), rival.output, events)
        figures["missing/twice"] = f"{missing}/{twice}"
        figures["× Flicker"] = round(float(figures["CPU-s/M"]) / float(ours.figures["CPU-s/M"]), 1)
        yield Row("peers", rival.who, figures, "" if name == "floor" else "≥ 8 × our CPU")


def _run(command: list[str], directory: str, events: int) -> dict[str, Any]:
    """A process with everything below it. Standard output goes to a file, for the cost of a pipe that somebody empties."""
    said, complaints = Path(directory, "out", "said"), Path(directory, "complaints")
    said.parent.mkdir()
    with said.open("wb") as out, complaints.open("wb") as err:
        began, peak_mb = time.monotonic(), 0.0
        process = subprocess.Popen(command, stdout=out, stderr=err)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak_mb = max(peak_mb, *map(peak_rss_mb, (process.pid, *descendants(process.pid))))
            time.sleep(0.1)
    _, process.returncode, usage = ended
    if process.returncode:
        raise RuntimeError(f"{command[1]} failed: {complaints.read_text()[-2000:]}")
    return {
        "events": events,
        "CPU-s/M": round((usage.ru_utime + usage.ru_stime) / events * 1e6, 2),
        "wall s": round(time.monotonic() - began, 1),
        "peak MB": round(peak_mb),
    }


def _missing_and_twice(out: Path, pattern: str, events: int) -> tuple[int, int]:
    count, distinct = 0, set[bytes]()
    for path in out.glob(pattern):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                found = re.search(rb'"uuid": ?"([0-9a-f]{16})', line)
                if found is not None:
                    count += 1
                    distinct.add(found[1])
    return events - len(distinct), count - len(distinct)
