"""Collect and deliver with each destination beside http, and with one, two and three lanes; the receivers' CPU not counted."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from bench.measure import Row, own_cpu_s
from bench.receivers import STANDS, Receiving
from bench.servers import Servers
from bench.sources import entry

LOT_EVENTS = 500

#: Why a destination costs what it does, where that is more than twice http's.
WHY = {
    "elasticsearch": "every event becomes a JSON string, an id is made, and an answer of every item is read",
    "opensearch": "as elasticsearch",
    "datadog": "every event becomes a JSON string, checked to be one value before",
    "logscale": "every event stands in the body twice, as JSON and as a string",
    "sentinel": "two requests for a lot (1 MB uncompressed), every event a JSON string",
    "google_secops": "base64 of every event, and two requests for a lot (1 MB uncompressed)",
    "s3": "SHA-256 of the object, twice, for signature and checksum",
    "security_lake": "a quarter each: mapping to OCSF, reading 3 KB of it into 350 columns, Parquet with zstd; http's own work",
}


def destinations(events: int) -> Iterator[Row]:
    """Each destination's CPU beside that of http, one request at a time. The opening of each is done beforehand: a hundred
    events of another stream go there first."""
    https = 0.0
    for kind in STANDS:
        with Servers(events) as servers, Receiving(servers.context, kind) as receiving:
            cpu_s = _apart(servers, [_towards(kind, receiving.keys)], receiving.env, events)
            got, distinct = receiving.verdict()
        extra = 0 if kind == "file" else 100  # of the stream before
        assert got - extra == distinct - extra == events, f"{kind}: {events} events, {got} there, {distinct} distinct"
        https = https or cpu_s
        more = "" if kind == "http" else f"≤ 2{f'; {WHY[kind]}' if cpu_s > 2 * https and kind in WHY else ''}"
        figures: dict[str, Any] = {"CPU-s/M": round(cpu_s / events * 1e6, 2), "times http": round(cpu_s / https, 2)}
        yield Row("collect and deliver to", kind, figures, more)


def lanes(events: int) -> Iterator[Row]:
    """One lane, and several side by side."""
    one = 0.0
    for kinds in (["http"], ["http", "http"], ["http", "file"], ["http", "http", "file"]):
        with ExitStack() as stack:
            servers = stack.enter_context(Servers(events))
            receiving = [stack.enter_context(Receiving(servers.context, kind)) for kind in kinds]
            towards = [_towards(kind, each.keys) for kind, each in zip(kinds, receiving)]
            named = [each | {"name": f"lane{n}"} for n, each in enumerate(towards)] if len(kinds) > 1 else towards
            cpu_s = _apart(servers, named, {}, events)
            for kind, each in zip(kinds, receiving):
                got, distinct = each.verdict()
                assert got == distinct == events + (0 if kind == "file" else 100), (
                    f"{kind}: {got} there, {distinct} distinct"
                )
        one = one or cpu_s
        figures: dict[str, Any] = {"CPU-s/M": round(cpu_s / events * 1e6, 2), "times one": round(cpu_s / one, 2)}
        yield Row("lanes", " + ".join(kinds), figures, "< 1.6" if len(kinds) == 2 else "")


def _towards(kind: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind.split()[0], "timeout_ms": 60_000, "max_in_flight": 1} | keys


def _apart(servers: Servers, towards: list[dict[str, Any]], env: dict[str, str], events: int) -> float:
    """CPU seconds of all events, collected and delivered in a process of its own."""
    answers = servers.context.Queue()
    directory = tempfile.mkdtemp(prefix="flicker-bench-")
    options = {"buffer_size": LOT_EVENTS, "window": {"size": "day"}, "flush_interval_ms": 3_600_000}
    destination = towards[0] if len(towards) == 1 else towards
    source = entry(servers, **options) | {"destination": destination}
    before = entry(servers, name="before", path="/busy/before", **options) | {"destination": _elsewhere(towards)}
    process = servers.context.Process(target=_work, args=([before, source], directory, env, answers))
    try:
        process.start()
        process.join()
        assert process.exitcode == 0
        return answers.get()
    finally:
        shutil.rmtree(directory)


def _elsewhere(towards: list[dict[str, Any]]) -> Any:
    """The same destinations for another stream, which needs files of its own."""
    others = [each | {"path": f"{each['path']}.before"} if "path" in each else each for each in towards]
    return others[0] if len(others) == 1 else others


def _work(sources: list[dict[str, Any]], directory: str, env: dict[str, str], answers: Any) -> None:
    from flicker_dagster.config.models import SourceConfig
    from flicker_dagster.pipeline.begin import starting_position
    from flicker_dagster.pipeline.deliver import deliver_live
    from flicker_dagster.pipeline.fetch import fetch_live
    from flicker_dagster.pipeline.work import SourceWork
    from flicker_dagster.state.layout import StateLayout

    layout = StateLayout.of(None, f"{directory}/state", f"{directory}/work")
    spent_s = 0.0
    for raw in sources:
        source = SourceConfig.model_validate(raw)
        before_s = own_cpu_s()
        position, complete = None, False
        while not complete:
            with SourceWork(source, layout, env=os.environ | env) as work, work.spool.lock():
                fetch_live(work, position or starting_position(work))
                report = deliver_live(work)
            position, complete = report.end, report.complete
        spent_s = own_cpu_s() - before_s
    answers.put(spent_s)
