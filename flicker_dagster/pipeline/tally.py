"""Counts of one fetch: what the vendor sent and what became of it. Kept in the spool, shown in Dagster."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from flicker_dagster.config.listing import RowSpec
from flicker_dagster.readers import ready


class Lateness(msgspec.Struct):
    """A distribution of delays in fixed memory: counts by power of two to the quarter, so within a fifth, and the exact
    maximum."""

    buckets: dict[str, int] = {}
    max_s: float = 0.0

    def add(self, delays_s: list[float]) -> None:
        for delay_s in delays_s:
            bucket = str(round(4 * math.log2(max(1.0, delay_s))))
            self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
            self.max_s = max(self.max_s, delay_s)

    def quantile_s(self, share: float) -> float | None:
        """The delay that `share` of the events did not exceed, or None if there are none."""
        left = share * sum(self.buckets.values())
        for bucket in sorted(self.buckets, key=int):
            left -= self.buckets[bucket]
            if left <= 0:
                return min(self.max_s, round(2 ** (int(bucket) / 4), 1))
        return None


@ready
class Tally(msgspec.Struct):
    """Counters of a walk. `seen = new + known + filtered + set_aside`; `late` is the part of `new` from behind the position,
    `untimed` the part of `seen` without a time that can be read (in a window: of all that was read)."""

    pages: int = 0
    bytes: int = 0
    seen: int = 0
    new: int = 0
    known: int = 0
    late: int = 0
    filtered: int = 0
    set_aside: int = 0  # dead letters that were never sent
    untimed: int = 0
    untimed_shape: str = ""  # what stands in one of them where the time should
    future: int = 0
    cursor_resets: int = 0
    unproven: str | None = None  # why the vendor may have more than was read
    first_ms: int | None = None  # time of the oldest new event
    last_ms: int | None = None  # time of the newest new event
    outside: int = 0  # rows of a window's answers that belong to a neighbouring window
    #: Of an oversize window: what was delivered before its end was read, by the names of `DrainReport`.
    early: dict[str, int] = {}
    gap_ms: int = 0  # span before the first request that the vendor no longer keeps
    registry_moved: bool = False  # by another Flicker, or by hand
    #: Order-independent digest of the ids of a window: the sum, modulo 2^128, of its 16-byte digests.
    ids_sum: str = "0"
    #: How late the late events were found, seconds after their time.
    lateness: Lateness = msgspec.field(default_factory=lambda: Lateness())

    def add_ids(self, digests: list[bytes]) -> None:
        self.add_sum(sum_of(digests))

    def add_sum(self, ids_sum: str) -> None:
        """The same for digests of which only the sum (hex) is known."""
        self.ids_sum = format((int(self.ids_sum, 16) + int(ids_sum, 16)) & _MASK, "x")

    def add_times(self, first_ms: int, last_ms: int) -> None:
        self.first_ms = first_ms if self.first_ms is None else min(self.first_ms, first_ms)
        self.last_ms = last_ms if self.last_ms is None else max(self.last_ms, last_ms)

    def begun_again(self) -> Tally:
        """The counts before a second walk over the same span. What the first one found new waits in the spool or was
        delivered from there: it stays found, and is not counted as known when it is met again."""
        return Tally(
            new=self.new,
            known=-self.new - self.set_aside,
            set_aside=self.set_aside,
            first_ms=self.first_ms,
            last_ms=self.last_ms,
            early=self.early,
            lateness=self.lateness,
        )

    def within_page(self, begun: Tally) -> Tally:
        """What is kept of the counts inside of a page of objects, which is listed again by who goes on there: what its objects
        hold is counted then. `begun` is how they stood before the page. What was found new stays found."""
        found = self.new - begun.new + self.set_aside - begun.set_aside
        return msgspec.structs.replace(
            self,
            seen=begun.seen,
            known=begun.known - found,
            filtered=begun.filtered,
            untimed=begun.untimed,
            outside=begun.outside,
            ids_sum=begun.ids_sum,
        )

    def unread(self, rows: RowSpec) -> str | None:
        """What to say where the times of events could not be read: without them nothing tells how far collection is."""
        if not self.untimed:
            return None
        return (
            f"{self.untimed} of {self.seen + self.outside} events have no time that can be read: there is "
            f"{self.untimed_shape} in {' or '.join(rows.time_paths)} (timestamp_field, "
            f"timestamp_format {rows.time_format}). They are delivered, but filed under no hour, and the position "
            "does not follow them; correct timestamp_field or timestamp_format"
        )

    def as_counts(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)

    @classmethod
    def of(cls, counts: dict[str, Any]) -> Tally:
        return msgspec.convert(counts, cls)


_MASK = (1 << 128) - 1


def sum_of(digests: list[bytes]) -> str:
    """An order-independent digest of ids: the sum, modulo 2^128, of their 16-byte digests, in hex."""
    return format(sum(map(_as_int, digests)) & _MASK, "x")


def _as_int(digest: bytes) -> int:
    return int.from_bytes(digest, "big")
