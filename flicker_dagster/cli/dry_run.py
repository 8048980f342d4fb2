"""`flicker --dry-run`: one real look at each source, nothing shipped, nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from flicker_dagster.cli.command import defect_told
from flicker_dagster.cli.tables import show_blocks
from flicker_dagster.collect.event_fields import EventFields
from flicker_dagster.collect.walk import walk as walk_pages
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import told
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.plan import after_slice, next_slice
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.printable import cut, visible
from flicker_dagster.times import rfc3339_ms, start_from_ms
from flicker_dagster.types import Page, Position

#: A look, not a collection: enough pages to see the shape of the data.
MAX_PAGES = 5
SAMPLE_EVENTS = 2

COLUMNS = (
    "source", "from", "requests", "would ship", "first event", "last event", "sample ids", "warning", "in doubt", "failed",
)  # fmt: skip
SHOWN_ID_CHARS = 200


@dataclass(frozen=True)
class Look:
    source: str
    since: str
    requests: int = 0
    events: int = 0
    first: str = ""
    last: str = ""
    samples: str = ""
    more: bool = False
    warnings: str = ""
    doubt: str = ""  # why what was seen may not be all, or tells no time
    error: str | None = None


def dry_run_all(settings: Settings) -> int:
    """0 if every source answered and nothing about its answers is in doubt, 1 otherwise. Raises ConfigError."""
    config = load_config(settings.config_path)
    looks = [_look(source, settings) for source in config.sources]
    show_blocks("Dry run", COLUMNS, [_row(look) for look in looks])
    click.echo("Nothing was shipped and no position has moved.")
    return 0 if all(look.error is None and not look.doubt for look in looks) else 1


def _row(look: Look) -> tuple[str, ...]:
    asked = (look.source, look.since, str(look.requests))
    if look.error is not None:
        return (*asked, "", "", "", "", look.warnings, look.doubt, look.error)
    ships = f"{look.events}{'+' if look.more else ''} events"
    return (*asked, ships, look.first, look.last, look.samples, look.warnings, look.doubt, "")


def _look(source: SourceConfig, settings: Settings) -> Look:
    since = ""
    requests = 0
    try:
        with settings.work(source) as work:
            position = _look_from(work)
            since = position.last_timestamp or ""
            events, more, samples = 0, False, []
            tally, unfit = Tally(), 0
            times_ms: list[int] = []
            event_filter, rows = work.new_filter(), source.listing.rows
            doubt = ""
            for page, follow in _pages(work, position):
                requests, more = requests + 1, follow
                tally.seen, unfit = tally.seen + len(page.decoded), unfit + len(page.decoded.unfit)
                if page.decoded.untimed_shape is not None:
                    tally.untimed += page.decoded.times_ms.count(None)
                    tally.untimed_shape = tally.untimed_shape or page.decoded.untimed_shape
                keep = event_filter.mask(page.decoded)
                kept = [i for i in range(len(page.decoded)) if keep is None or keep[i]]
                events += len(kept)
                times_ms += [ms for i in kept if (ms := page.decoded.times_ms[i]) is not None]
                samples += [_id_of(rows, bytes(page.decoded.events[i])) for i in kept[: SAMPLE_EVENTS - len(samples)]]
                doubt = page.unproven or doubt
                if requests >= MAX_PAGES:
                    break
            first, last = (rfc3339_ms(min(times_ms)), rfc3339_ms(max(times_ms))) if times_ms else ("", "")
            doubt = doubt or tally.unread(rows) or ""
            warning = f"{unfit} events cannot be sent on and would be kept as dead letters" if unfit else ""
            found = "\n".join(samples)
            return Look(source.name, since, requests, events, first, last, found, more, warning, doubt)
    except Exception as error:  # whatever goes wrong with one source costs no other its look
        message = told(error, source) if isinstance(error, FlickerError) else defect_told(error)
        return Look(source.name, since, requests, error=message)


def _pages(work: SourceWork, position: Position) -> Iterator[tuple[Page, bool]]:
    """Page after page from a position to now, slice after slice, and whether more follow."""
    listing = work.source.listing
    piece = next_slice(listing, position, None, now_ms=work.now_ms())
    while True:
        for page in walk_pages(listing, work.client, piece.walk, seen_before=work.names_next_pages):
            yield page, not piece.last or page.next is not None
        if piece.last:
            return
        piece = next_slice(listing, position, after_slice(listing.time, None, piece.walk), now_ms=work.now_ms())


def _id_of(rows: RowSpec, event: bytes) -> str:
    """An event's id as the vendor spells it, the parts of a composite one joined by slashes."""
    parts, _ = EventFields(rows).ids_and_times(event)
    if not parts or None in parts:
        return "(none: known by its content)"
    return cut(visible("/".join(map(str, parts))), SHOWN_ID_CHARS)


def _look_from(work: SourceWork) -> Position:
    """Where a run would start; a first start from `now` would show nothing, so the last day is looked at instead."""
    position = work.registry.position(work.source.name)
    if position is not None:
        return position
    now_ms = work.now_ms()
    start_ms = start_from_ms(work.source.start_from, now_ms)
    if start_ms >= now_ms - 60_000:
        start_ms = now_ms - DAY_MS
    return Position(last_timestamp=rfc3339_ms(start_ms), cursor=None)
