"""Probe: the cheap look whether a quiet source has anything new. Reads a page or two, keeps nothing, ships nothing."""

from __future__ import annotations

import msgspec

from flicker_dagster.collect.objects import NoObjects, Objects
from flicker_dagster.collect.walk import walk as walk_pages
from flicker_dagster.pipeline.begin import usable
from flicker_dagster.pipeline.intake import Known
from flicker_dagster.pipeline.plan import next_slice
from flicker_dagster.pipeline.windows import shard_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.types import Position, Remembered

#: A quiet source answers in a page or two; one with more to say is busy and gets a run.
MAX_PAGES = 2


class ProbeResult(msgspec.Struct, frozen=True):
    """What the look found. `found` is also true where more than a look is needed to tell."""

    found: bool
    pages: int
    why: str


class _Unfetched:
    """Objects as a look sees them: all are taken for known, so that none is fetched; was there one that is not?"""

    def __init__(self, known: Objects) -> None:
        self._known = known
        self.found = False

    def get(self, digest: bytes) -> Remembered:
        known = self._known.get(digest)
        self.found = self.found or known is None
        return known or Remembered(0, "0")


def probe(work: SourceWork, position: Position) -> ProbeResult:
    """Is there anything at the vendor that is neither delivered nor waiting? Raises CollectError as a walk does."""
    lanes = work.lanes
    for lane in lanes:
        lane.ledger.refresh()  # a sensor keeps its work for long; runs have written since
    work.spool.close()
    state = work.live.state
    skew_ms = 0 if state is None else state.skew_ms
    if position.cursor is not None:
        position = usable(work, position, work.registry.position(work.source.name))
    listing = work.source.listing
    piece = next_slice(listing, position, None, now_ms=work.now_ms() + skew_ms)
    if not piece.last:
        return ProbeResult(True, 0, "the span to read is longer than one slice")
    waiting = work.live.waiting
    if waiting.events:
        return ProbeResult(True, 0, f"{waiting.events} events wait in the spool")
    known = Known([(lane.ledger, lane.since_ms) for lane in lanes], [])
    event_filter = work.new_filter()
    pages = 0
    unfetched = _Unfetched(work.objects() or NoObjects())
    pages_read = walk_pages(listing, work.client, piece.walk, seen_before=work.names_next_pages, objects=unfetched)
    for page in pages_read:
        pages += 1
        decoded = page.decoded
        keep = event_filter.mask(decoded)
        shards: dict[str, tuple[list[bytes], list[int | None]]] = {}
        for index, (digest, time_ms) in enumerate(zip(decoded.digests, decoded.times_ms)):
            if keep is None or keep[index]:
                digests, times_ms = shards.setdefault(shard_of(time_ms), ([], []))
                digests.append(digest)
                times_ms.append(time_ms)
        if unfetched.found:
            return ProbeResult(True, pages, "a new object")
        if any(known.unknown(shard, digests, times_ms) for shard, (digests, times_ms) in shards.items()):
            return ProbeResult(True, pages, "new events")
        if page.unproven is not None:
            return ProbeResult(True, pages, page.unproven)
        if pages >= MAX_PAGES and page.next is not None:
            return ProbeResult(True, pages, "more pages than a probe reads")
    return ProbeResult(False, pages, "nothing new")
