"""What a destination was found to carry: learned from its refusals, kept between runs."""

from __future__ import annotations

import threading

import msgspec

from flicker_dagster.deliver.destination import LotLimits
from flicker_dagster.lots import Lot

#: Refusals that are kept; the smallest ones say most.
MOST_KEPT = 8

#: What was taken and what was refused are close when they differ by this share: the limit is not looked for any further.
CLOSE_SHARE = 0.2

#: So long a refusal counts: the destination may have been given larger limits since.
FORGOTTEN_AFTER_MS = 24 * 3_600_000


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """A request that was too large: bytes of its events, their number, and when."""

    size_bytes: int
    events: int
    at_ms: int


class LearnedLimits:
    """Which requests are known to be too large. Thread-safe.

    Whether a destination counts bytes or events is not known, so a request is held back only where another with no more
    bytes and no more events was refused: what was ever taken under a steady limit is sent in the same parts again, and so
    under the same key.
    """

    def __init__(self, refused: tuple[Refused, ...] = (), *, taken_bytes: int = 0, now_ms: int = 0) -> None:
        self._refused = tuple(each for each in refused if 0 <= now_ms - each.at_ms <= FORGOTTEN_AFTER_MS)
        self._taken_bytes = taken_bytes
        self._lock = threading.Lock()

    @property
    def refused(self) -> tuple[Refused, ...]:
        return self._refused

    @property
    def taken_bytes(self) -> int:
        """The most that was taken at once, as far as it is less than all that was refused; 0 for unknown."""
        return self._taken_bytes if self._refused and self._taken_bytes < self._least_refused else 0

    @property
    def _least_refused(self) -> int:
        return min(each.size_bytes for each in self._refused)

    def took(self, lot: Lot) -> None:
        """The lot was taken. Only where something was refused it matters how much that is."""
        if self._refused and self._taken_bytes < lot.size_bytes < self._least_refused:
            with self._lock:
                self._taken_bytes = max(self._taken_bytes, lot.size_bytes)

    def parts_for(self, lot: Lot) -> int:
        """In how many parts of about the same size a lot that is too large is best sent, two at least.

        Each is as large as the most that was taken, or lies between that and the least that was refused while those are far
        apart: halves alone would leave requests at half of what the destination takes, for ever.
        """
        if not self._refused:
            return 2
        taken, refused = self.taken_bytes, min(self._least_refused, lot.size_bytes)
        if not taken:
            return 2
        wanted = taken if refused - taken <= taken * CLOSE_SHARE else (taken + refused) // 2
        return min(len(lot), max(2, -(-lot.size_bytes // wanted)))

    def learn(self, lot: Lot, *, now_ms: int) -> None:
        """The lot was refused as too large."""
        found = Refused(lot.size_bytes, len(lot), now_ms)
        with self._lock:
            if self._taken_bytes >= found.size_bytes:  # it takes less than it did
                self._taken_bytes = 0
            others = [r for r in self._refused if not (r.size_bytes >= found.size_bytes and r.events >= found.events)]
            if not any(_covers(r, found.size_bytes, found.events) for r in others):
                others.append(found)
            self._refused = tuple(sorted(others, key=lambda r: r.size_bytes)[:MOST_KEPT])

    def too_large(self, lot: Lot) -> bool:
        refused = self._refused
        return bool(refused) and any(_covers(each, lot.size_bytes, len(lot)) for each in refused)


def parts_for(lot: Lot, limits: LotLimits, learned: LearnedLimits) -> int:
    """In how many parts a lot is to be sent that is over a destination's own limits, or over what was learned of it."""
    within = max(2, -(-len(lot) // limits.events), -(-lot.size_bytes // limits.bytes))
    return min(len(lot), max(within, learned.parts_for(lot)))


def _covers(refused: Refused, size_bytes: int, events: int) -> bool:
    return size_bytes >= refused.size_bytes and events >= refused.events
