"""A SIEM that is slow, takes 20,000 bytes at most and fails one request in five, under steady events of three vendors."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from bench.measure import Row
from bench.receivers import Receiving
from bench.servers import STEADY_EVENTS, STEADY_S, Servers
from bench.sources import entry

STREAMS = 3
#: At full speed: polls of a stream, one run after the other, each of which finds as many events.
POLLS, POLL_EVENTS = 20, 100
#: Runs until the backlog has to be gone, and the pause between two.
RUNS, PAUSE_S = 1_000, 0.05


def hard(_events: int) -> Iterator[Row]:
    """Events a second until all are delivered, beside the same SIEM's without limit and failures: of what three vendors
    emit steadily, and at full speed. Nothing is compressed, since the limit is one of the bytes that arrive."""
    for path, what, target in (
        ("steady", f"{STREAMS} vendors, {STEADY_EVENTS} events/s each", "≥ 0.5"),
        (
            "busy",
            f"{STREAMS} vendors, at full speed",
            "six requests for one, four at a time; one in five again after 0.1 s",
        ),
    ):
        healthy = 0.0
        wanted = STREAMS * (STEADY_EVENTS * STEADY_S if path == "steady" else POLLS * POLL_EVENTS)
        for kind, who in (
            ("slow", "50 ms an answer"),
            ("hard", "the same, 413 above 20,000 bytes, 500 to one in five"),
        ):
            wall_s, requests, failed = _measured(kind, path, wanted)
            healthy = healthy or wanted / wall_s
            figures = {
                "events/s": round(wanted / wall_s),
                "of the healthy one's": round(wanted / wall_s / healthy, 2),
                "requests": requests,
                "runs that failed": failed,
                "missing/twice": "0/0",
            }
            yield Row(f"a SIEM, {what}", who, figures, target if kind == "hard" else "")


def _measured(kind: str, path: str, wanted: int) -> tuple[float, int, int]:
    with Servers() as servers, Receiving(servers.context, kind) as siem:
        answers = servers.context.Queue()
        destination = {"type": "http", **siem.keys, "compression": False}
        sources = [
            entry(servers, name=f"vendor{n}", path=f"/{path}/v{n}") | {"destination": destination}
            for n in range(STREAMS)
        ]
        process = servers.context.Process(target=_work, args=(sources, STEADY_S if path == "steady" else None, answers))
        process.start()
        process.join()
        assert process.exitcode == 0
        got, distinct = siem.verdict()
    assert got == distinct == wanted, f"{wanted} events, {got} there, {distinct} distinct"
    return answers.get()


def _work(sources: list[dict[str, Any]], seconds: float | None, answers: Any) -> None:
    directory = tempfile.mkdtemp(prefix="flicker-bench-")
    done: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=lambda s=source: done.append(_stream(s, directory, seconds))) for source in sources
    ]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.monotonic() - began_s
    shutil.rmtree(directory)
    assert len(done) == len(sources)
    answers.put((wall_s, sum(requests for requests, _ in done), sum(failed for _, failed in done)))


def _stream(raw: dict[str, Any], directory: str, seconds: float | None) -> tuple[int, int]:
    """Poll and deliver one run after the other, so many seconds or polls; then deliver until nothing waits. Gives requests
    and failed runs."""
    from flicker_dagster.config.models import SourceConfig
    from flicker_dagster.errors import DeliverError
    from flicker_dagster.pipeline.begin import starting_position
    from flicker_dagster.pipeline.deliver import deliver_live
    from flicker_dagster.pipeline.fetch import fetch_live
    from flicker_dagster.pipeline.work import SourceWork
    from flicker_dagster.state.layout import StateLayout

    source = SourceConfig.model_validate(raw)
    layout = StateLayout.of(None, f"{directory}/state", f"{directory}/work")
    position, requests, failed, polls, ended = None, 0, 0, 0, False
    began_s = time.monotonic()
    for _ in range(RUNS):
        with SourceWork(source, layout) as work, work.spool.lock():
            if not ended:
                polls += 1
                ended = polls >= POLLS if seconds is None else time.monotonic() - began_s > seconds + PAUSE_S
                position = position or starting_position(work)
                fetch_live(work, position)
                began_s = began_s if polls > 1 else time.monotonic()  # the vendor's events begin with the first poll
            try:
                report = deliver_live(work)
            except DeliverError:
                failed += 1
                continue
            position, requests = report.end, requests + report.drained.requests
        if ended:
            return requests, failed
        if seconds is not None:
            time.sleep(PAUSE_S)
    raise AssertionError(f"something waits after {RUNS} runs")
