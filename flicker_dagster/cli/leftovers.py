"""Lines about state that no configured source owns, for the start, `--validate` and `status`."""

from __future__ import annotations

import logging
from functools import partial

from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.lane_places import storages_in_use
from flicker_dagster.state.leftovers import Leftover, find_left_lanes, find_leftovers
from flicker_dagster.state.owners import Owner, others, write_down

log = logging.getLogger("flicker.leftovers")


def leftover_lines(settings: Settings, config: FlickerConfig) -> list[str]:
    """One line for each source, and each destination of a source, whose state is kept and that is not configured; one more
    where that cannot be read."""
    try:
        found, elsewhere = _found(settings, config)
        layout = settings.layout()
        lanes = find_left_lanes(
            layout,
            in_use={each.name: partial(storages_in_use, each.name, each.lanes, layout) for each in config.sources},
        )
    except FlickerError as error:
        return [f"whether state of other sources is kept cannot be told: {error}"]
    heirs = {source.renamed_from: source.name for source in config.sources if source.renamed_from}
    lines = [
        leftover.words()
        if leftover.source not in heirs
        else f"{leftover.source}: its state goes on under {heirs[leftover.source]} with the next poll"
        for leftover in found
    ]
    lines += [lane.words() for lane in lanes]
    return lines + [f"{', '.join(o.sources)}: kept in the same place for {o.words()}" for o in elsewhere]


def tell_at_start(settings: Settings, config: FlickerConfig, *, before: FlickerConfig | None = None) -> None:
    """Write down what is collected from here on, and log what is kept and is not. `before`: what this Flicker collected
    until an edit."""
    try:
        former = None if before is None else settings.owner(before)
        write_down(settings.layout().store, settings.owner(config), former=former)
    except FlickerError as error:
        log.warning("%s", error)
    for line in leftover_lines(settings, config):
        log.warning("%s", line)


def _found(settings: Settings, config: FlickerConfig) -> tuple[list[Leftover], list[Owner]]:
    layout, owner = settings.layout(), settings.owner(config)
    elsewhere = others(layout.store, owner)
    known = {*owner.sources, *(name for other in elsewhere for name in other.sources)}
    return find_leftovers(layout, configured=known), elsewhere
