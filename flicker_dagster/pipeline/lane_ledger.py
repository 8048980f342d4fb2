"""A lane's ledger while it delivers: asked by several threads before they send, and told on the way what was settled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from flicker_dagster.errors import LeaseLost, StateError
from flicker_dagster.lots import Lot
from flicker_dagster.pipeline.windows import HOUR_MS, shard_of
from flicker_dagster.state.ledger import Ledger

log = logging.getLogger("flicker.deliver")

#: On a remote state what was settled reaches the ledger so often while a delivery goes on, so that another machine has
#: little to repeat where this one dies; and less often where writing takes long, for at most this share of the time.
TOLD_EVERY_S = 5.0
TELLING_SHARE = 0.05


class LaneLedger:
    """`told_every_s` None: only `tell` writes. `elapsed` gives seconds by a clock that nobody sets."""

    def __init__(self, ledger: Ledger, *, told_every_s: float | None, elapsed: Callable[[], float]) -> None:
        self._ledger = ledger
        self._told_every_s = told_every_s
        self._elapsed = elapsed
        self._mutex = threading.Lock()
        self._fresh: dict[str, list[bytes]] = {}
        self._due_s = elapsed() + (told_every_s or 0.0)

    def known(self, lot: Lot) -> list[int]:
        """Indices of a part's events that were delivered before. Raises StateError."""
        with self._mutex:
            return _in_ledger(self._ledger, lot)

    def settled(self, lot: Lot) -> None:
        """These events were written down as settled. Raises LeaseLost; a ledger that cannot be written is told later."""
        if self._told_every_s is None:
            return
        with self._mutex:
            for digest, ms in zip(lot.digests, lot.times_ms):
                self._fresh.setdefault(shard_of(ms), []).append(digest)
            began_s = self._elapsed()
            if began_s < self._due_s:
                return
            try:
                self._ledger.add({shard: b"".join(digests) for shard, digests in self._fresh.items()})
                self._fresh = {}
            except LeaseLost:
                raise
            except StateError as error:
                log.warning("%s; the ledger is told of what was delivered when this delivery ends", error)
            took_s = self._elapsed() - began_s
            self._due_s = began_s + took_s + max(self._told_every_s, took_s / TELLING_SHARE)

    def tell(self, digests: dict[str, bytes]) -> None:
        """Add concatenated digests by shard. Raises StateError."""
        with self._mutex:
            self._ledger.add(digests)
            self._fresh = {}


def _in_ledger(ledger: Ledger, lot: Lot) -> list[int]:
    times = lot.times_ms
    if None not in times and len(times):
        first = min(times) // HOUR_MS  # type: ignore[type-var, operator]
        if max(times) // HOUR_MS == first:  # type: ignore[type-var, operator]
            return _known_in(ledger, shard_of(times[0]), list(lot.digests), range(len(times)))
    shards: dict[str, list[int]] = {}
    for index, ms in enumerate(times):
        shards.setdefault(shard_of(ms), []).append(index)
    found: list[int] = []
    for shard, indices in shards.items():
        found += _known_in(ledger, shard, [lot.digests[i] for i in indices], indices)
    return sorted(found)


def _known_in(ledger: Ledger, shard: str, digests: list[bytes], indices: Sequence[int]) -> list[int]:
    unknown = ledger.known(shard).unknown(digests)
    if len(unknown) == len(digests):
        return []
    new = set(unknown)
    return [indices[i] for i in range(len(digests)) if i not in new]
