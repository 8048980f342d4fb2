"""The hot path: collect → spool → dedupe → deliver, with ledger, journal and gzip on; and the sweep of what is there."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.measure import Row, own_cpu_s, peak_rss_mb
from bench.servers import Servers
from bench.sources import entry

FILTERS = {
    "match_on": [{"field": "eventType", "pattern": r"^user\."}],
    "exclude_on": [{"field": "outcome.result", "pattern": "^FAIL"}],
}


def hot(events: int) -> Iterator[Row]:
    """Batches of 500, batches of 50, and filters on; the SIEM's bodies are looked into for each event once."""
    for who, target, changes in (
        ("batches of 500", "≤ 10 CPU-s/M, ≤ 150 MB", {"buffer_size": 500}),
        ("batches of 50, as documented", "≤ 25 CPU-s/M", {"buffer_size": 50}),
        ("batches of 500, two filters", "", {"buffer_size": 500, **FILTERS}),
    ):
        with Servers(events) as servers, _directory() as directory:
            done = _apart(servers, directory, changes, "live")
            yield _row("collect and deliver", who, target, events, done, servers)


def sweep(events: int) -> Iterator[Row]:
    """A window is read again in which everything is delivered already."""
    with Servers(events) as servers, _directory() as directory:
        _apart(servers, directory, {"buffer_size": 500}, "live")
        done = _apart(servers, directory, {"buffer_size": 500}, "sweep")
        yield _row("sweep", "all delivered already", "≤ 8 CPU-s/M", events, done, servers)


def big(events: int) -> Iterator[Row]:
    """Ten times as many, polled in one process until all is there: does memory grow?"""
    with Servers(events, keep_pages=False, keep_bodies=False) as servers, _directory() as directory:
        for case, who, what in (
            ("collect and deliver", "batches of 500, one process", "live"),
            ("sweep", "all delivered already", "sweep"),
        ):
            yield _row(case, who, "≤ 150 MB", events, _apart(servers, directory, {"buffer_size": 500}, what))
        # As many as there are, and the sweep found none missing: each is there once.
        assert servers.tally.events.value == events


def idle(_events: int) -> Iterator[Row]:
    """What a quiet source costs: a poll that finds nothing, and the sensor's probe."""
    with Servers() as servers, _directory() as directory:
        for what, who in (("poll", "a poll that finds nothing"), ("probe", "the sensor's probe")):
            figures = _apart(servers, directory, {}, what)
            yield Row("idle", who, {"CPU ms": round(figures["cpu_s"] * 1000, 2)})


def _row(case: str, who: str, target: str, events: int, done: dict[str, Any], servers: Servers | None = None) -> Row:
    figures: dict[str, Any] = {
        "events": events,
        "CPU-s/M": round(done["cpu_s"] / events * 1e6, 2),
        "wall s": round(done["wall_s"], 1),
        "peak MB": round(done["rss_mb"]),
    }
    if servers is not None:
        got, distinct = servers.verdict()
        assert got == distinct == events, f"{events} events, {got} in the SIEM, {distinct} distinct"
        figures["missing/twice"] = "0/0"
    return Row(case, who, figures, target)


def _apart(servers: Servers, directory: str, changes: dict[str, Any], what: str) -> dict[str, Any]:
    """Do it in a process of its own, its start counted (but for what is done a hundred times)."""
    answers = servers.context.Queue()
    path = "/quiet" if what in ("poll", "probe") else "/events"
    source = entry(servers, path=path, **changes) | {"window": {"size": "day"}, "flush_interval_ms": 3_600_000}
    arguments = (source, directory, what, servers.start_ms, answers)
    process = servers.context.Process(target=_work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0
    return answers.get()


def _work(raw: dict[str, Any], directory: str, what: str, start_ms: int, answers: Any) -> None:
    from flicker_dagster.config.models import SourceConfig
    from flicker_dagster.pipeline.begin import starting_position
    from flicker_dagster.pipeline.deliver import deliver_live, deliver_window
    from flicker_dagster.pipeline.fetch import fetch_live
    from flicker_dagster.pipeline.probe import probe
    from flicker_dagster.pipeline.read_window import read_window
    from flicker_dagster.pipeline.windows import window_at
    from flicker_dagster.pipeline.work import SourceWork
    from flicker_dagster.state.layout import StateLayout

    source = SourceConfig.model_validate(raw)
    layout = StateLayout.of(None, f"{directory}/state", f"{directory}/work")

    def live() -> None:
        position, complete = None, False
        while not complete:
            with SourceWork(source, layout) as work, work.spool.lock():
                fetch_live(work, position or starting_position(work))
                report = deliver_live(work)
            position, complete = report.end, report.complete

    def sweep() -> None:
        with SourceWork(source, layout) as work, work.spool.lock():
            window = window_at(source.window, start_ms)
            read_window(work, window, fresh=True)
            assert deliver_window(work, window).tally.new == 0

    def look() -> None:
        with SourceWork(source, layout) as work:
            position = starting_position(work)
            for _ in range(100):
                assert not probe(work, position).found

    def polls() -> None:
        for _ in range(100):
            live()

    todo: dict[str, tuple[Callable[[], None], int]] = {
        "live": (live, 1), "sweep": (sweep, 1), "probe": (look, 100), "poll": (polls, 100),
    }  # fmt: skip
    work, times = todo[what]
    whole = times == 1  # a rival's start-up is counted as well
    cpu_s, wall_s = 0.0 if whole else own_cpu_s(), time.monotonic()
    work()
    answers.put(
        {
            "cpu_s": (own_cpu_s() - cpu_s) / times,
            "wall_s": time.monotonic() - wall_s,
            "rss_mb": peak_rss_mb(),
        }
    )


class _directory:
    def __enter__(self) -> str:
        self._path = tempfile.mkdtemp(prefix="flicker-bench-")
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)
