"""Writes that only the holder of a lease may make: a store that asks before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from flicker_dagster.errors import LeaseLost
from flicker_dagster.state.leases import Lease
from flicker_dagster.state.stores import Marker, Store, Stored


class Fence:
    """The leases that somebody's writes stand behind. Without one, everything may be written: an order by hand, or what a
    probe found, needs none. Behind one that was lost nothing may, until another one is taken."""

    def __init__(self) -> None:
        self._leases: list[Lease] = []

    def assure(self) -> None:
        """Raises LeaseLost where one of them was lost, StateError where that cannot be found out."""
        for lease in self._leases:
            lease.assure()

    def refuse_if_lost(self) -> None:
        """Raises LeaseLost where it is known already that one was lost; asks nobody."""
        for lease in self._leases:
            if lease.lost is not None:
                raise LeaseLost(lease.lost)

    @contextmanager
    def behind(self, lease: Lease) -> Iterator[None]:
        self._leases = [each for each in self._leases if each.lost is None] + [lease]
        try:
            yield
        finally:
            if lease.lost is None:
                self._leases = [each for each in self._leases if each is not lease]


class FencedStore:
    """A `state.stores.Store` whose writes and removals the fence allows. Reading is free."""

    def __init__(self, store: Store, fence: Fence) -> None:
        self._store = store
        self._fence = fence

    def read(self, key: str) -> Stored | None:
        return self._store.read(key)

    def read_changed(self, key: str, version: str) -> Stored | Literal[Marker.UNCHANGED] | None:
        return self._store.read_changed(key, version)

    def write(self, key: str, data: bytes, *, expected: str | Literal[Marker.ANYTHING] | None) -> str:
        self._fence.assure()
        return self._store.write(key, data, expected=expected)

    def delete(self, key: str) -> None:
        self._fence.assure()
        self._store.delete(key)

    def list(self, prefix: str) -> Iterator[str]:
        return self._store.list(prefix)

    def describe(self, key: str) -> str:
        return self._store.describe(key)
