"""Where each source's partition grid begins: with the window in which its collection began, so that none is grey that was
never asked for.

It is found out once, when definitions are built, and pinned as the source's `window.start`: a grid that moved while the
code location is loaded would change under the feet of the UI, the sweep and the runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration import bounded
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.begin import begins_ms
from flicker_dagster.pipeline.windows import window_at
from flicker_dagster.state.s3 import let_go_of_clients
from flicker_dagster.times import rfc3339_ms

log = logging.getLogger("flicker.grid")

#: How long a store may take to tell where all sources began; definitions load without it where it takes longer.
PATIENCE_S = 10.0

_reading = bounded.Bounded(most=1, wait_s=PATIENCE_S)


def with_grids(sources: Iterable[SourceConfig], settings: Settings) -> list[SourceConfig]:
    """The sources with `window.start` where they leave it out. One of which nothing can be read just now keeps the wide
    grid of `windows.grid_start_ms`, which hides nothing. Never raises for the state."""
    sources = list(sources)
    begins: dict[str, int] = {}
    wanted = [source for source in sources if source.window.start is None]
    try:
        if not settings.is_remote:
            _read(wanted, settings, begins)
        elif wanted:
            _reading.call("grids", lambda: _read(wanted, settings, begins))
            let_go_of_clients()  # a process that was forked from this one must not share its connections
    except (FlickerError, bounded.NotDone) as error:
        log.warning("Grids reach further back than collection until the next load: %s", error)
    return [_pinned(source, begins.get(source.name)) for source in sources]


def _read(sources: list[SourceConfig], settings: Settings, begins: dict[str, int]) -> None:
    for source in sources:
        begins[source.name] = begins_ms(settings.work(source), now_ms=int(time.time() * 1000))


def _pinned(source: SourceConfig, begin_ms: int | None) -> SourceConfig:
    if begin_ms is None:
        return source
    start = rfc3339_ms(window_at(source, begin_ms).start_ms)
    return source.model_copy(update={"window": source.window.model_copy(update={"start": start})})
