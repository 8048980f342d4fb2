"""The ledger: ids of all events that a lane delivered, one object per stream and shard."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from flicker_dagster.errors import WriteConflict
from flicker_dagster.failpoints import reach
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.digests import SIZE, DigestSet, split
from flicker_dagster.state.lane_book import stored_as
from flicker_dagster.state.names import file_safe, from_file_safe
from flicker_dagster.state.shards import ShardCache, decode_shard, encode_shard
from flicker_dagster.state.stores import UNCHANGED, Store, Stored

#: Digests held in memory by one Ledger, over all its shards: at most some 50 MB, where all of them are small.
MAX_CACHED_DIGESTS = 500_000

#: Digests looked at at once by a merge.
_PORTION = 1 << 15


class _Shard(NamedTuple):
    digests: DigestSet
    version: str | None


class Ledger:
    """Digests of delivered events of one lane, by shard key. `lane` is its place in the state, see `state.lane_book`.

    A shard is read when first asked for and then kept in memory for this object's life, or until newer ones need its
    room; `refresh` looks at the store again. A Ledger is meant to live as long as one run.
    """

    def __init__(
        self,
        store: Store,
        source: str,
        lane: str = "",
        *,
        cache_dir: Path | None = None,
        max_cached_digests: int = MAX_CACHED_DIGESTS,
    ) -> None:
        self._store = store
        self._prefix = f"ledger/{stored_as(source, lane)}/"
        self._cache = None if cache_dir is None else ShardCache(cache_dir)
        self._max_cached = max_cached_digests
        self._shards: OrderedDict[str, _Shard] = OrderedDict()

    def known(self, window: str) -> DigestSet:
        """Ids delivered in a window; empty if none. The set is the Ledger's own: do not add to it.

        Raises StateError.
        """
        return self._shard(window).digests

    def count(self, window: str) -> int:
        """How many events of a window were delivered. Raises StateError."""
        return len(self.known(window))

    def add(self, digests: dict[str, bytes]) -> set[bytes]:
        """Add concatenated digests by window; those already there change nothing, and are given back.

        Windows are written one by one: after a crash some may be written and some not, and adding all of them again
        completes it. Concurrent writers merge. Raises StateError, WriteConflict.
        """
        there: set[bytes] = set()
        for window, blob in digests.items():
            if blob:
                there |= self._merge(window, blob)
        return there

    def windows(self) -> list[str]:
        """Keys of all windows that have a shard, in order. Raises StateError."""
        cut = len(self._prefix)
        return sorted(from_file_safe(key[cut:]) for key in self._store.list(self._prefix))

    def prune(self, before: str) -> list[str]:
        """Remove the shards of all windows whose key sorts before `before`; gives their keys. Raises StateError.

        Keys that are no times, such as the one of undated events, begin with a letter and so sort behind every time.
        """
        gone = [window for window in self.windows() if window < before]
        for window in gone:
            self.drop(window)
        return gone

    def drop(self, window: str) -> None:
        """Remove a window's shard; harmless if it is not there. Raises StateError."""
        self._store.delete(self._key(window))
        self._forget(window)

    def refresh(self) -> None:
        """Forget what is in memory: the next look asks the store (which costs no download where nothing changed)."""
        self._shards.clear()

    def _merge(self, window: str, blob: bytes) -> set[bytes]:
        key = self._key(window)
        for _ in attempts(self._store.describe(key)):
            shard = self._shard(window)
            fresh, there = _apart(shard.digests, blob)
            if not len(fresh):
                return there
            new = blob if len(fresh) * SIZE == len(blob) else fresh.blob()
            data = encode_shard(shard.digests.blob() + new)
            reach("ledger.before_write")
            try:
                version = self._store.write(key, data, expected=shard.version)
            except WriteConflict:
                self._forget(window)
                continue
            reach("ledger.after_write")
            if len(shard.digests):
                shard.digests.add_many(new)
                fresh = shard.digests
            self._keep(window, _Shard(fresh, version))
            if self._cache is not None:
                self._cache.put(key, Stored(data, version))
            return there
        raise AssertionError("attempts() raises when they are used up")

    def _shard(self, window: str) -> _Shard:
        shard = self._shards.get(window)
        if shard is not None:
            self._shards.move_to_end(window)
            return shard
        stored = self._read(self._key(window))
        if stored is None:
            shard = _Shard(DigestSet(), None)
        else:
            shard = _Shard(
                DigestSet(decode_shard(self._store.describe(self._key(window)), stored.data)), stored.version
            )
        self._keep(window, shard)
        return shard

    def _read(self, key: str) -> Stored | None:
        if self._cache is None:
            return self._store.read(key)
        copy = self._cache.get(key)
        found = self._store.read(key) if copy is None else self._store.read_changed(key, copy.version)
        if found is UNCHANGED:
            return copy
        if found is None:
            self._cache.drop(key)
        else:
            self._cache.put(key, found)
        return found

    def _keep(self, window: str, shard: _Shard) -> None:
        self._shards[window] = shard
        self._shards.move_to_end(window)
        held = sum(len(kept.digests) for kept in self._shards.values())
        while held > self._max_cached and len(self._shards) > 1:
            _, oldest = self._shards.popitem(last=False)
            held -= len(oldest.digests)

    def _forget(self, window: str) -> None:
        self._shards.pop(window, None)
        if self._cache is not None:
            self._cache.drop(self._key(window))

    def _key(self, window: str) -> str:
        return self._prefix + file_safe(window)


def _apart(known: DigestSet, blob: bytes) -> tuple[DigestSet, set[bytes]]:
    """Concatenated digests, told apart: those that are new, and those already known. In portions, so that an hour of
    hundreds of thousands does not stand in memory as single objects."""
    fresh, there = DigestSet(), set()
    for start in range(0, len(blob), _PORTION * SIZE):
        wanted = split(blob[start : start + _PORTION * SIZE])
        if len(known):
            unknown = [wanted[i] for i in known.unknown(wanted)]
            if len(unknown) < len(wanted):
                there.update(set(wanted).difference(unknown))
            wanted = unknown
        fresh.add(wanted)
    return fresh, there
