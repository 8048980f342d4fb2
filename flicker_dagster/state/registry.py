"""The registry: every source's position in one JSON object, shared by replicas without one erasing the other."""

from __future__ import annotations

import logging

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.failpoints import reach
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.position_history import PositionHistory, SavedPosition
from flicker_dagster.state.registry_document import RegistryDocument, standing
from flicker_dagster.state.stores import Store
from flicker_dagster.types import Position

log = logging.getLogger("flicker.state")


class Registry:
    """Positions at one object of a store. Nothing is cached: every call reads what stands now."""

    def __init__(self, store: Store, key: str, *, history: PositionHistory | None = None) -> None:
        self._store = store
        self._key = key
        self._history = history

    @property
    def where(self) -> str:
        """The registry as a user knows it: a path or `s3://bucket/key`."""
        return self._store.describe(self._key)

    def read(self) -> dict[str, Position]:
        """Every source's position; empty if there is no registry yet. Raises RegistryUnreadable, StateError."""
        document, _ = self._load()
        return {name: position for name in document.sources if (position := document.position(name)) is not None}

    def position(self, name: str) -> Position | None:
        """Where a source stands, or None if the registry does not know it. Raises RegistryUnreadable, StateError."""
        return self._load()[0].position(name)

    def commit(self, name: str, new: Position, *, seen: Position | None) -> Position:
        """Move a source to `new` and give the position that stands afterwards.

        `seen` is what the caller read when its run began. If another replica moved the entry since, the later of the
        two positions stands, so that neither moves the other back. Nothing is written if nothing changes. Raises
        StateError if it cannot be written; everything is then as it was.
        """
        for _ in attempts(f"the registry {self.where}"):
            document, version = self._load()
            current = document.position(name)
            stands = standing(current, new, seen=seen)
            if stands == current:
                return stands
            document.put(name, stands)
            reach("registry.before_write")
            try:
                self._store.write(self._key, document.encode(), expected=version)
            except WriteConflict:
                continue
            reach("registry.after_write")
            self._remember(name, current, stands)
            return stands
        raise AssertionError("attempts() raises when they are used up")

    def names(self) -> list[str]:
        """Every source that has an entry, readable or not. Raises RegistryUnreadable, StateError."""
        return self._load()[0].sources

    def remove(self, name: str) -> None:
        """Take a source's entry out; harmless if there is none. Raises RegistryUnreadable, StateError."""
        for _ in attempts(f"the registry {self.where}"):
            document, version = self._load()
            if not document.remove(name):
                return
            try:
                self._store.write(self._key, document.encode(), expected=version)
            except WriteConflict:
                continue
            return

    def history(self, name: str) -> list[SavedPosition]:
        """Earlier positions of a source as `(saved_at, position)`, newest first. Raises StateError."""
        return [] if self._history is None else self._history.read(name)

    def _load(self) -> tuple[RegistryDocument, str | None]:
        stored = self._store.read(self._key)
        if stored is None:
            return RegistryDocument.empty(self.where), None
        return RegistryDocument.parse(self.where, stored.data), stored.version

    def _remember(self, name: str, before: Position | None, after: Position) -> None:
        if self._history is None:
            return
        try:
            self._history.add(name, before, after)
        except StateError as error:
            # The position itself is safe; failing the run here would only do its work again.
            log.warning("%s: the position was saved, its history was not: %s", name, error)
