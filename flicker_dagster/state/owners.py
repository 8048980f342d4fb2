"""Which configurations keep the state of which sources in one place.

A registry may be shared: what one configuration does not know may be another's, and nobody is asked to drop that.
Each start writes down what it is configured to collect.
"""

from __future__ import annotations

import msgspec

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.readers import reader
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.stores import Store

_KEY = "configurations.json"


class Owner(msgspec.Struct, frozen=True):
    """A configuration: its file, its namespace, the names of its sources."""

    config: str
    sources: list[str]
    namespace: str = ""

    def words(self) -> str:
        return f"{self.config}, namespace {self.namespace}" if self.namespace else self.config

    def is_former(self, other: Owner) -> bool:
        """Whether `other` is what this configuration was before an edit, or under another path."""
        same_file = (self.config, self.namespace) == (other.config, other.namespace)
        return same_file or not set(self.sources).isdisjoint(other.sources)


class _Document(msgspec.Struct, frozen=True):
    version: int = 1
    configurations: list[Owner] = []


_read_document = reader(_Document)


def write_down(store: Store, owner: Owner, *, former: Owner | None = None) -> None:
    """Say what this configuration collects; nothing is written where it is said already. `former`: what it is known to
    have been before an edit, of its namespace too. Raises StateError."""
    for _ in attempts(store.describe(_KEY)):
        found, version = _load(store)
        said = [*(each for each in found if not owner.is_former(each) and each != former), owner]
        if said == found:
            return
        try:
            store.write(_KEY, msgspec.json.encode(_Document(configurations=said)), expected=version)
        except WriteConflict:
            continue
        return


def others(store: Store, owner: Owner) -> list[Owner]:
    """The other configurations that keep state in a store. Raises StateError."""
    return [each for each in _load(store)[0] if not owner.is_former(each)]


def _load(store: Store) -> tuple[list[Owner], str | None]:
    stored = store.read(_KEY)
    if stored is None:
        return [], None
    try:
        return _read_document(stored.data).configurations, stored.version
    except msgspec.DecodeError as error:
        raise StateError(
            f"{store.describe(_KEY)} is damaged ({error}); remove it, the next start writes it anew"
        ) from None
