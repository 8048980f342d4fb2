"""One lane's view of a unit of the spool: which events of its lots are settled, taken under a receipt, or still to be sent."""

from __future__ import annotations

import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from isal import igzip

from flicker_dagster.errors import StateError
from flicker_dagster.failpoints import reach
from flicker_dagster.lots import Awaiting, Lot, Receipt, spans_of
from flicker_dagster.state.digests import SIZE, split
from flicker_dagster.state.journal import Entry, Journal, KeptReceipt
from flicker_dagster.state.lot_frames import FrameFile
from flicker_dagster.types import NO_TIME, FrozenLot, Settled


class _Progress:
    """What is known of a lot that is not settled as a whole."""

    __slots__ = ("awaiting", "cuts", "settled", "whole")

    def __init__(self, count: int) -> None:
        self.settled = bytearray(count)
        self.cuts: set[int] = set()
        self.awaiting: dict[tuple[tuple[int, int], ...], KeptReceipt] = {}
        self.whole: set[tuple[tuple[int, int], ...]] = set()

    def parts(self) -> list[list[int]]:
        """Places of what is to be sent: the unsettled events between two cuts, but those under a receipt."""
        taken = {place for spans in self.awaiting for start, stop in spans for place in range(start, stop)}
        edges = [0, *sorted(self.cuts), len(self.settled)]
        parts = [
            [place for place in range(start, stop) if not self.settled[place] and place not in taken]
            for start, stop in pairwise(edges)
        ]
        return [part for part in parts if part]


class _Told:
    """Entries on their way to the journal."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.written = False
        self.error: BaseException | None = None


class UnitLane:
    """The queue of one lane. `settle` and its like may be called from several threads: they share a write and a sync.

    `before_writing` is called before the first write, `before_sending` brings the lots to the disk before one is handed
    out: had the destination a part that the loss of power took from us, its events would be sent again in another one.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        frames: FrameFile,
        *,
        sync: bool = True,
        before_writing: Callable[[], object],
        before_sending: Callable[[], None],
    ) -> None:
        self.name = name
        self._frames = frames
        self._journal = Journal(path)
        self._sync = sync
        self._before_writing = before_writing
        self._before_sending = before_sending
        self._mutex = threading.RLock()
        self._told: deque[_Told] = deque()
        self._done = bytearray(len(frames))  # lots that are settled as a whole
        self._progress: dict[int, _Progress] = {}
        self._ids: dict[int, str] = {}  # of lots that were handed out
        self._first_waiting = 0
        self.waiting_lots = len(frames)
        self.waiting_events = sum(frames.counts)
        self.waiting_bytes = frames.end
        for entry in self._journal.load():
            self._apply(entry, self._index_of(entry))

    # -- reading

    @property
    def oldest_at_ms(self) -> int | None:
        """When the oldest lot that is not settled was put into the spool."""
        with self._mutex:
            index = self._done.find(0, self._first_waiting)
            self._first_waiting = len(self._done) if index < 0 else index
            return None if index < 0 else self._frames.times_ms[index]

    @property
    def awaiting_events(self) -> int:
        with self._mutex:
            return sum(
                stop - start for found in self._progress.values() for spans in found.awaiting for start, stop in spans
            )

    def pending(self) -> Iterator[Lot]:
        """See `LaneQueue.pending`. For the holder of the lock. Raises SpoolFull, and StateError if a lot is damaged."""
        self._before_sending()
        for index in range(len(self._frames)):
            if self._done[index]:
                continue
            with self._mutex:
                self._journal.make_room()
                progress = self._progress.get(index)
                parts = None if progress is None else progress.parts()
            if parts is not None and not parts:
                continue
            lot = self._lot(index)
            if parts is None:
                yield lot
                continue
            for places in parts:
                yield lot.part(places)

    def awaiting(self) -> list[Awaiting]:
        """Parts that were taken under a receipt, oldest first."""
        with self._mutex:
            found = [(i, dict(p.awaiting)) for i, p in sorted(self._progress.items()) if p.awaiting]
        parts: list[Awaiting] = []
        for index, receipts in found:
            whole = cache(partial(self._lot, index))  # several parts of a lot read it once
            for spans, kept in receipts.items():
                receipt = Receipt(kept.token, kept.ask_after_s, kept.expires_s, kept.status)
                parts.append(Awaiting(partial(_part, whole, spans), receipt, kept.at_ms))
        return parts

    def is_left_whole(self, lot: Lot) -> bool:
        with self._mutex:
            progress = self._progress.get(lot.seq - self._frames.first_seq)
            return progress is not None and bool(progress.whole) and tuple(spans_of(lot.places)) in progress.whole

    def settled_digests(self) -> dict[str, bytes]:
        """Concatenated id digests by shard of every settled event. Raises StateError."""
        found: dict[str, list[bytes]] = {}
        for index in range(len(self._frames)):
            with self._mutex:
                progress = self._progress.get(index)
                settled = None if self._done[index] else b"" if progress is None else bytes(progress.settled)
            if settled is not None and not any(settled):
                continue
            at = 0
            for shard, blob in self._frames.digests_of(index):
                count = len(blob) // SIZE
                if settled is not None:
                    blob = b"".join(d for d, done in zip(split(blob), settled[at : at + count]) if done)
                if blob:
                    found.setdefault(shard, []).append(blob)
                at += count
        return {shard: b"".join(blobs) for shard, blobs in found.items()}

    def entries(self) -> list[Entry]:
        """Everything that was written down since the unit was last cleared. Raises StateError."""
        with self._mutex:
            return self._journal.load()

    # -- writing

    def settle(self, lot: Lot, settled: Settled) -> None:
        """Write down what became of events. When this returns it is on the disk; a second word on the same event changes
        nothing. Raises SpoolFull and StateError, and then nothing was written down."""
        self._write(self._entry(lot, settled=settled))

    def cut(self, lot: Lot, place: int) -> None:
        reach("lane.cut.before")
        self._write(self._entry(lot, cut=place))
        reach("lane.cut.after")

    def leave_whole(self, lot: Lot) -> None:
        reach("lane.whole.before")
        self._write(self._entry(lot, whole=True))
        reach("lane.whole.after")

    def receive(self, lot: Lot, receipt: Receipt, *, at_ms: int) -> None:
        kept = KeptReceipt(receipt.token, receipt.ask_after_s, receipt.expires_s, at_ms, receipt.status)
        reach("lane.receipt.before")
        self._write(self._entry(lot, receipt=kept))
        reach("lane.receipt.after")

    def expire(self, lot: Lot) -> None:
        reach("lane.expiry.before")
        self._write(self._entry(lot, expired=True))
        reach("lane.expiry.after")

    def grew(self) -> None:
        """Lots were appended to the unit."""
        with self._mutex:
            for index in range(len(self._done), len(self._frames)):
                self._done.append(0)
                self.waiting_lots += 1
                self.waiting_events += self._frames.counts[index]
                self.waiting_bytes += self._frames.size_of(index)

    def close(self) -> None:
        self._journal.file.close()

    # -- inside

    def _lot(self, index: int) -> Lot:
        lot = opened(self._frames.lot(index))
        self._ids[index] = lot.lot_id
        return lot

    def _entry(self, lot: Lot, **what: Any) -> Entry:
        index = lot.seq - self._frames.first_seq
        spans = spans_of(lot.places)
        whole = 0 <= index < len(self._frames) and spans == [(0, self._frames.counts[index])]
        return Entry(lot.seq, lot.lot_id, [] if whole else spans, **what)

    def _write(self, entry: Entry) -> None:
        told = _Told(entry)
        self._told.append(told)
        with self._mutex:
            if not told.written:  # nobody wrote it down along with theirs while this waited
                self._write_down([self._told.popleft() for _ in range(len(self._told))])
        if told.error is not None:
            raise told.error

    def _write_down(self, together: list[_Told]) -> None:
        try:
            self._before_writing()
            found = [(told.entry, self._index_of(told.entry)) for told in together]
            reach("spool.ack.before_journal")
            self._journal.append([entry for entry, _ in found], durable=self._sync)
            for entry, index in found:
                self._apply(entry, index)
            reach("spool.ack.after_journal")
        except BaseException as error:
            for told in together:
                told.error = error
            raise
        finally:
            for told in together:
                told.written = True

    def _index_of(self, entry: Entry) -> int:
        """The lot that an entry is about. Raises StateError if there is no such lot."""
        index = entry.seq - self._frames.first_seq
        if 0 <= index < len(self._frames):
            lot_id = self._ids.get(index) or self._frames.head(index).lot_id
            if lot_id == entry.lot_id:
                return index
        raise StateError(
            f"{self._journal.file.path} speaks of lot {entry.lot_id} as number {entry.seq}, which "
            f"{self._frames.file.path} does not hold. Move their directory away; what waited in it is collected again"
        )

    def _apply(self, entry: Entry, index: int) -> None:
        if self._done[index]:
            return
        count = self._frames.counts[index]
        spans = tuple(entry.spans or [(0, count)])
        if entry.settled is not None and not entry.spans and index not in self._progress:
            self._finish(index, count)
            return
        progress = self._progress.setdefault(index, _Progress(count))
        if entry.settled is not None:
            self._settle_spans(index, progress, spans)
        elif entry.cut is not None:
            progress.cuts.add(entry.cut)
        elif entry.receipt is not None:
            progress.awaiting[spans] = entry.receipt
        elif entry.expired:
            progress.awaiting.pop(spans, None)
        elif entry.whole:
            progress.whole.add(spans)

    def _settle_spans(self, index: int, progress: _Progress, spans: tuple[tuple[int, int], ...]) -> None:
        fresh = 0
        for start, stop in spans:
            fresh += (stop - start) - sum(progress.settled[start:stop])
            progress.settled[start:stop] = b"\x01" * (stop - start)
        progress.awaiting.pop(spans, None)
        left = len(progress.settled) - sum(progress.settled)
        if left:
            self.waiting_events -= fresh
        else:
            self._finish(index, fresh)

    def _finish(self, index: int, fresh: int) -> None:
        self._progress.pop(index, None)
        self._ids.pop(index, None)
        self._done[index] = 1
        self.waiting_lots -= 1
        self.waiting_events -= fresh
        self.waiting_bytes -= self._frames.size_of(index)


def _part(whole: Callable[[], Lot], spans: tuple[tuple[int, int], ...]) -> Lot:
    return whole().part([place for start, stop in spans for place in range(start, stop)])


def opened(frozen: FrozenLot) -> Lot:
    """A lot as destinations see it; its events are unpacked when they are first asked for."""
    times = array("q", frozen.times_ms).tolist()
    return Lot(
        seq=frozen.seq,
        lot_id=frozen.lot_id,
        source=frozen.source,
        collected_ms=frozen.collected_ms,
        array=lambda: igzip.decompress(frozen.array),
        lengths=array("I", frozen.lengths),
        digests=split(b"".join(frozen.digests.values())),
        times_ms=[None if ms == NO_TIME else ms for ms in times] if NO_TIME in times else times,
        packed=frozen.array,
    )
