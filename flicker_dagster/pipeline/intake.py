"""From a decoded page to the events that some lane has not delivered yet, cut into lots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import compress
from typing import TypeVar

from flicker_dagster.collect.filters import EventFilter
from flicker_dagster.config.listing import Listing
from flicker_dagster.deliver.cutting import LotCutter
from flicker_dagster.pipeline.set_aside import Unfit
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.windows import HOUR_MS, shard_of
from flicker_dagster.state.digests import DigestShards
from flicker_dagster.state.ledger import Ledger
from flicker_dagster.types import DecodedPage, FrozenLot, Remembered, Window, timed_of

log = logging.getLogger("flicker.fetch")

T = TypeVar("T")


class Known:
    """Which ids nobody needs any more: those in every lane's ledger, those that wait in the spool, those taken by this run.

    All three go by the shard of the event's time. `ledgers` come with the time from which on their lane delivers, None for
    all; `waiting` are concatenated digests by shard, one mapping per unit. With `redeliver_until_ms` no ledger is asked
    about events up to that time: they are shipped again.
    """

    def __init__(
        self,
        ledgers: Sequence[tuple[Ledger, int | None]],
        waiting: list[dict[str, bytes]],
        *,
        redeliver_until_ms: int | None = None,
    ) -> None:
        self._ledgers = ledgers
        self._taken = DigestShards(blob for unit in waiting for blob in unit.items())
        self._redeliver_until_ms = redeliver_until_ms

    def unknown(self, shard: str, digests: list[bytes], times_ms: list[int | None]) -> list[int]:
        """Indices of the digests of one shard that are new, each id once, in order."""
        if len(set(digests)) == len(digests):
            indices = self._taken.unknown(shard, digests)
        else:
            first: dict[bytes, int] = {}
            for index, digest in enumerate(digests):
                first.setdefault(digest, index)
            once = list(first.values())
            indices = [once[i] for i in self._taken.unknown(shard, [digests[i] for i in once])]
        until_ms = self._redeliver_until_ms
        if until_ms is None:
            return self._not_delivered(shard, digests, times_ms, indices)
        again = {i for i in indices if times_ms[i] is not None and times_ms[i] <= until_ms}  # type: ignore[operator]
        later = self._not_delivered(shard, digests, times_ms, [i for i in indices if i not in again])
        return sorted(again.union(later))

    def take(self, shard: str, digests: list[bytes]) -> None:
        """Remember ids that `unknown` has just named."""
        self._taken.add_new(shard, digests)

    def _not_delivered(
        self, shard: str, digests: list[bytes], times_ms: list[int | None], indices: list[int]
    ) -> list[int]:
        """Of these indices those that some lane has not delivered."""
        if not indices:
            return indices
        if len(self._ledgers) == 1 and self._ledgers[0][1] is None:
            return _unknown_to(self._ledgers[0][0], shard, digests, indices)
        wanted: set[int] = set()
        for ledger, since_ms in self._ledgers:
            own = [i for i in indices if i not in wanted]
            if since_ms is not None:
                own = [i for i in own if (ms := times_ms[i]) is None or ms >= since_ms]
            wanted.update(_unknown_to(ledger, shard, digests, own))
        return sorted(wanted)


def _unknown_to(ledger: Ledger, shard: str, digests: list[bytes], indices: list[int]) -> list[int]:
    if not indices:
        return indices
    delivered = ledger.known(shard)
    if len(indices) == len(digests):
        return delivered.unknown(digests)
    return [indices[i] for i in delivered.unknown([digests[i] for i in indices])]


class Intake:
    """Takes pages, gives lots of new events. Counts everything it sees in `tally`.

    `position_ms` is where collection stood: a new event from before it is counted as late. With `window`, only what
    lies inside it is counted as the window's; strays from an inclusive edge are still delivered if new. `set_aside` keeps
    events of a shard that can never be sent on.
    """

    def __init__(
        self,
        listing: Listing,
        *,
        known: Known,
        cutter: LotCutter,
        event_filter: EventFilter,
        tally: Tally,
        set_aside: Callable[[str, list[Unfit]], None],
        position_ms: int | None = None,
        window: Window | None = None,
    ) -> None:
        self._known = known
        self._set_aside = set_aside
        self._told_untimed = False
        self._cutter = cutter
        self._filter = event_filter
        self.tally = tally
        self._by_arrival = listing.by_arrival
        self._position_ms = None if self._by_arrival else position_ms  # whatever is new has just arrived
        self._window = window
        self._listing = listing

    def take(self, page: DecodedPage, *, now_ms: int) -> list[FrozenLot]:
        """Lots that became full with this page. Events that cannot be dated are filed under no hour and delivered."""
        self.tally.pages += 1
        self.tally.bytes += page.size_bytes
        if self._window is not None:
            self._count_window(page.digests, self._on_axis(page))
        else:
            self.tally.seen += len(page)
        if page.untimed_shape is not None:
            self._count_untimed(page)
        keep = self._filter.mask(page)
        kept = None if keep is None or all(keep) else list(compress(range(len(page)), keep))
        if kept is not None:
            self.tally.filtered += len(page) - len(kept)
        lots: list[FrozenLot] = []
        for shard, indices in _by_shard(page.times_ms, kept):
            lots += self._take_shard(shard, page, indices, now_ms)
        return lots

    def _take_shard(self, shard: str, page: DecodedPage, indices: list[int] | None, now_ms: int) -> list[FrozenLot]:
        """Take the events of a page that lie in one shard; None stands for all of them."""
        digests, times_ms = _at(indices, page.digests), _at(indices, page.times_ms)
        new = self._known.unknown(shard, digests, times_ms)
        self.tally.known += len(digests) - len(new)
        if not new:
            return []
        if len(new) != len(digests):
            indices = new if indices is None else _at(new, indices)
            digests, times_ms = _at(new, digests), _at(new, times_ms)
        self._known.take(shard, digests)
        if page.unfit:
            indices, digests, times_ms = self._without_unfit(shard, page, indices, digests, times_ms)
        timed = timed_of(times_ms)
        self.tally.new += len(digests)
        if timed:
            self._count_times(timed, min(timed), max(timed), now_ms)
        average_bytes = page.size_bytes // len(page)
        return self._cutter.add(_at(indices, page.events), digests, shard, times_ms, average_bytes=average_bytes)

    def _without_unfit(
        self,
        shard: str,
        page: DecodedPage,
        indices: list[int] | None,
        digests: list[bytes],
        times_ms: list[int | None],
    ) -> tuple[list[int], list[bytes], list[int | None]]:
        """What can be sent on of new events; the others are set aside."""
        places = list(range(len(page))) if indices is None else indices
        unfit = [
            Unfit(bytes(page.events[place]), digest, ms, page.unfit[place])
            for place, digest, ms in zip(places, digests, times_ms)
            if place in page.unfit
        ]
        if unfit:
            self._set_aside(shard, unfit)
            self.tally.set_aside += len(unfit)
        fit = [i for i, place in enumerate(places) if place not in page.unfit]
        return _at(fit, places), _at(fit, digests), _at(fit, times_ms)

    def _count_untimed(self, page: DecodedPage) -> None:
        """Without a time nobody knows which window an event belongs to: counted, new or known, and said once."""
        self.tally.untimed += sum(ms is None and index not in page.unfit for index, ms in enumerate(page.times_ms))
        self.tally.untimed_shape = self.tally.untimed_shape or page.untimed_shape or ""
        if not self._told_untimed:
            self._told_untimed = True
            log.warning("%s: %s", self._listing.name, self.tally.unread(self._listing.rows))

    def _count_times(self, timed: list[int], first_ms: int, last_ms: int, now_ms: int) -> None:
        self.tally.add_times(first_ms, last_ms)
        if last_ms > now_ms:
            self.tally.future += sum(ms > now_ms for ms in timed)
        late = timed
        if self._position_ms is not None:
            late = [ms for ms in timed if ms < self._position_ms] if first_ms < self._position_ms else []
            self.tally.late += len(late)
        if late and (self._position_ms is not None or self._window is not None):
            self.tally.lateness.add([(now_ms - ms) / 1000 for ms in late])

    def already(self, remembered: Remembered, at_ms: int | None) -> None:
        """Count the events of an object that was fetched before, as if they had been read again. It is no page: a run that
        reads so many pages only would never come to what is new behind such objects."""
        self.tally.known += remembered.events
        window = self._window
        if window is not None and at_ms is not None and not window.start_ms <= at_ms < window.end_ms:
            self.tally.outside += remembered.events
            return
        self.tally.seen += remembered.events
        if window is not None:
            self.tally.add_sum(remembered.ids_sum)

    def _on_axis(self, page: DecodedPage) -> Sequence[int | None]:
        """What decides whether an event lies in a window: its time, or its arrival; a listing by arrival that does not tell it
        lists what was asked for."""
        if not self._by_arrival:
            return page.times_ms
        assert self._window is not None
        return [self._window.start_ms] * len(page) if page.axis_ms is None else page.axis_ms

    def _count_window(self, digests: list[bytes], times_ms: Sequence[int | None]) -> None:
        assert self._window is not None
        start_ms, end_ms = self._window.start_ms, self._window.end_ms
        inside = [d for d, ms in zip(digests, times_ms) if ms is not None and start_ms <= ms < end_ms]
        self.tally.seen += len(inside)
        self.tally.outside += len(digests) - len(inside)
        self.tally.add_ids(inside)

    def flush(self) -> list[FrozenLot]:
        return self._cutter.flush()

    @property
    def holds_events(self) -> bool:
        """Events wait in memory for their lot to fill: a resume point must not lie behind them."""
        return self._cutter.pending_events > 0


def _at(indices: list[int] | None, column: list[T]) -> list[T]:
    return column if indices is None else [column[i] for i in indices]


def _by_shard(times_ms: list[int | None], kept: list[int] | None) -> list[tuple[str, list[int] | None]]:
    """Indices of what was kept, by ledger shard; None stands for all of a page. The common case: it lies in one hour."""
    if not times_ms or kept == []:
        return []
    if None not in times_ms:
        first = min(times_ms) // HOUR_MS  # type: ignore[type-var, operator]
        if max(times_ms) // HOUR_MS == first:  # type: ignore[type-var, operator]
            return [(shard_of(times_ms[0]), kept)]
    shards: dict[str, list[int]] = {}
    for index in range(len(times_ms)) if kept is None else kept:
        shards.setdefault(shard_of(times_ms[index]), []).append(index)
    return list(shards.items())
