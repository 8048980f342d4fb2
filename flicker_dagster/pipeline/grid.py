"""Where the grid of a source's windows begins: with the window in which collection began, so that none is grey that was
never asked for.

The grid is part of the definitions, which must load wherever the state may be at that moment. So a state on a network is
asked once, for a short while, and a copy of what it said lies in the work directory.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path

from flicker_dagster.config.grid import Grid
from flicker_dagster.errors import FlickerError
from flicker_dagster.pipeline.windows import grid_start_ms, window_at
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.layout import StateLayout, begun_key
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.s3 import let_go_of_clients
from flicker_dagster.state.stores import LocalStore
from flicker_dagster.times import parse_time_ms, rfc3339_ms, start_from_ms

log = logging.getLogger("flicker.grid")

#: For so long a state that does not answer holds up the loading of definitions, all sources together.
MOST_WAIT_S = 5.0


def grid_begin_ms(grid: Grid, layout: StateLayout, *, now_ms: int) -> int:
    """The start of the first window. `window.start` says it; else it is where collection began, where the registry
    stands for a source that came with one, or where `start_from` points. A grid never reaches further back than the month
    in which retention ends, so that it does not grow for ever."""
    reach_ms = grid_start_ms(grid, now_ms)
    if grid.windows.start is not None:
        return reach_ms
    began_ms = _began_ms(grid, layout)
    if began_ms is None:
        try:
            began_ms = start_from_ms(grid.start_from, now_ms)
        except FlickerError:  # a source that cannot start says so itself
            began_ms = now_ms
    return max(reach_ms, window_at(grid.windows, min(began_ms, now_ms)).start_ms)


def remember_begin(layout: StateLayout, source: str, began_ms: int) -> None:
    """Keep a copy of what a state on a network said."""
    path = _copy(layout, source)
    if isinstance(layout.store, LocalStore) or _copied_ms(path) == began_ms:
        return
    with suppress(OSError):
        make_directory(path.parent)
        replace_file(path, rfc3339_ms(began_ms).encode(), durable=False)


def _began_ms(grid: Grid, layout: StateLayout) -> int | None:
    names = [grid.name, *([grid.renamed_from] if grid.renamed_from else [])]
    if isinstance(layout.store, LocalStore):
        return _stored_ms(layout, names)
    copied = [ms for name in names if (ms := _copied_ms(_copy(layout, name))) is not None]
    return copied[0] if copied else _asked.ms(layout, names)


def _stored_ms(layout: StateLayout, names: list[str]) -> int | None:
    """What is written down, or else where the registry stands. What cannot be read counts as not known: whoever collects
    will say so."""
    for name in names:
        with suppress(FlickerError, OSError, UnicodeDecodeError):
            stored = layout.store.read(begun_key(name))
            began_ms = None if stored is None else parse_time_ms(stored.data.decode())
            if began_ms is not None:
                return began_ms
    for name in names:
        with suppress(FlickerError, OSError):
            position = layout.registry().position(name)
            if position is not None and position.last_timestamp is not None:
                return parse_time_ms(position.last_timestamp)
    return None


class _Asking:
    """Asks states on a network, and waits for them no longer than MOST_WAIT_S altogether."""

    def __init__(self) -> None:
        self._left_s = MOST_WAIT_S

    def ms(self, layout: StateLayout, names: list[str]) -> int | None:
        if self._left_s <= 0:
            return None
        found: list[int | None] = []

        def ask() -> None:
            try:
                found.append(_stored_ms(layout, names))
            finally:  # runs are forked from the process that loads definitions: they must not share its connections
                let_go_of_clients()

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(self._left_s)
        if asking.is_alive():
            self._left_s = 0
            log.warning("%s: the state does not answer; its windows begin where start_from says for now", names[0])
            return None
        if found and found[0] is not None:
            remember_begin(layout, names[0], found[0])
        return found[0] if found else None


_asked = _Asking()


def _copy(layout: StateLayout, source: str) -> Path:
    return layout.work_dir / "cache" / "begun" / file_safe(source)


def _copied_ms(path: Path) -> int | None:
    try:
        return parse_time_ms(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError):
        return None
