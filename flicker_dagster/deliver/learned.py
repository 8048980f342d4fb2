"""What a destination was found to carry: learned from its refusals, kept between runs."""

from __future__ import annotations

import threading

import msgspec

from flicker_dagster.lots import Lot

#: Refusals that are kept; the smallest ones say most.
MOST_KEPT = 8

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

    def __init__(self, refused: tuple[Refused, ...] = (), *, now_ms: int = 0) -> None:
        self._refused = tuple(each for each in refused if 0 <= now_ms - each.at_ms <= FORGOTTEN_AFTER_MS)
        self._lock = threading.Lock()

    @property
    def refused(self) -> tuple[Refused, ...]:
        return self._refused

    def learn(self, lot: Lot, *, now_ms: int) -> None:
        """The lot was refused as too large."""
        found = Refused(lot.size_bytes, len(lot), now_ms)
        with self._lock:
            others = [r for r in self._refused if not (r.size_bytes >= found.size_bytes and r.events >= found.events)]
            if not any(_covers(r, found.size_bytes, found.events) for r in others):
                others.append(found)
            self._refused = tuple(sorted(others, key=lambda r: r.size_bytes)[:MOST_KEPT])

    def too_large(self, lot: Lot) -> bool:
        refused = self._refused
        return bool(refused) and any(_covers(each, lot.size_bytes, len(lot)) for each in refused)


def _covers(refused: Refused, size_bytes: int, events: int) -> bool:
    return size_bytes >= refused.size_bytes and events >= refused.events
