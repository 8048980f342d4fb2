"""Where the state of an installation lives, and how to open each part of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.state.account_tokens import AccountTokens
from flicker_dagster.state.dead_letters import DeadLetters
from flicker_dagster.state.fencing import Fence, FencedStore
from flicker_dagster.state.lane_book import LaneBook, book_key
from flicker_dagster.state.ledger import Ledger
from flicker_dagster.state.locations import checked_registry, is_s3, split_s3
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.old_spool import TimeOf
from flicker_dagster.state.position_history import PositionHistory, history_key
from flicker_dagster.state.quota_book import LocalBook, RemoteBook, quota_book, quota_key
from flicker_dagster.state.refused_edits import RefusedEdits
from flicker_dagster.state.registry import Registry
from flicker_dagster.state.rewinds import Rewinds, rewind_key
from flicker_dagster.state.spool import SourceSpool
from flicker_dagster.state.stores import LocalStore, Store, open_store
from flicker_dagster.state.token_store import TokenStore
from flicker_dagster.state.walk_notes import WalkNotebook, notes_key

DEFAULT_REGISTRY = "registry.json"

#: Where a state's own name is kept.
_STATE_ID = "state-id"
_IS_STATE_ID = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class StateLayout:
    """The registry's object, the store of ledger, dead letters and earlier positions, and the local work directory."""

    registry_store: Store
    registry_key: str
    store: Store
    work_dir: Path

    @classmethod
    def of(cls, registry_file: str | None, state_dir: str | Path, work_dir: str | Path) -> StateLayout:
        """Lay out the state. `registry_file` and `state_dir` are paths or `s3://bucket/…`.

        Without a registry file everything lies in `state_dir`. With one, the rest lies beside it, below its name
        without `.json`: `s3://logs/flicker.json` puts the ledger below `s3://logs/flicker/`. Nothing is read or
        created yet. Raises LocationError for an address that cannot be one.
        """
        if registry_file is None:
            store = open_store(state_dir)
            return cls(store, DEFAULT_REGISTRY, store, Path(work_dir))
        registry_store, key, beside = _split(registry_file)
        return cls(registry_store, key, open_store(beside), Path(work_dir))

    def fenced(self, fence: Fence) -> StateLayout:
        """The same state, written only behind the fence. A local one needs none: its lock ends with its holder."""
        if isinstance(self.store, LocalStore):
            return self
        store = FencedStore(self.store, fence)
        same = self.registry_store is self.store
        return replace(self, store=store, registry_store=store if same else FencedStore(self.registry_store, fence))

    @property
    def is_remote(self) -> bool:
        """May other machines write to it as well?"""
        return not isinstance(self.store, LocalStore)

    @property
    def ledger_copies(self) -> Path:
        """Where copies of remote shards lie."""
        return self.work_dir / "cache" / "ledger"

    def state_id(self) -> str:
        """What this state is called in stores that others use as well: a name that it keeps when it is moved, and that
        no other state has, wherever that lies. Given once, when first asked for. Raises StateError."""
        found = self.store.read(_STATE_ID)
        if found is None:
            with suppress(WriteConflict):  # another process was faster
                self.store.write(_STATE_ID, uuid.uuid4().hex[:16].encode(), expected=None)
            found = self.store.read(_STATE_ID)
        state_id = "" if found is None else found.data.decode("ascii", "replace").strip()
        if not _IS_STATE_ID.fullmatch(state_id):
            raise StateError(
                f"{self.store.describe(_STATE_ID)} is damaged: it holds no 16 hexadecimal digits. Restore it from a copy, "
                "or remove it: windows are then verified anew"
            )
        return state_id

    def registry(self) -> Registry:
        return Registry(self.registry_store, self.registry_key, history=self.history())

    def ledger(self, source: str, lane: str = "") -> Ledger:
        return Ledger(self.store, source, lane, cache_dir=self.ledger_copies if self.is_remote else None)

    def dead_letters(self, source: str, lane: str = "") -> DeadLetters:
        return DeadLetters(self.store, source, lane)

    def lane_book(self, source: str) -> LaneBook:
        return LaneBook(self.store, source)

    def storages(self, source: str) -> list[str]:
        """The places of all lanes that a stream ever had. Raises StateError."""
        return sorted({"", *(place.storage for place in self.lane_book(source).read().values())})

    def objects_of(self, source: str) -> list[str]:
        """Keys of the single objects of a source: earlier positions, a rewind, notes of its walks and of its quota, where
        collection began, and from which name it was carried over. Ledger and dead letters are folders of their own."""
        keys_of = (history_key, rewind_key, notes_key, quota_key, begun_key, renamed_key, book_key)
        return [key_of(source) for key_of in keys_of]

    def history(self) -> PositionHistory:
        return PositionHistory(self.store)

    def rewinds(self, source: str) -> Rewinds:
        return Rewinds(self.store, source)

    def walk_notes(self, source: str) -> WalkNotebook:
        return WalkNotebook(self.store, source)

    def quota_book(self, account: str) -> LocalBook | RemoteBook:
        """What is known of an account's quota, by the key that all who share it have."""
        return quota_book(self.store, account)

    def tokens(self) -> TokenStore:
        """Tokens that outlive a run. Nothing is read, and no key looked for, before one is asked for."""
        return TokenStore(self.store, self.work_dir)

    def account_tokens(self, earlier: Sequence[str]) -> TokenStore | AccountTokens:
        """The same for an account that may have had these names before."""
        return AccountTokens(self.tokens(), earlier=earlier) if earlier else self.tokens()

    def refused_edits(self) -> RefusedEdits:
        return RefusedEdits(self.work_dir)

    def spool(
        self,
        source: str,
        *,
        required: Sequence[str] = ("",),
        optional: Sequence[str] = (),
        cap_bytes: int | None = None,
        time_of: TimeOf | None = None,
    ) -> SourceSpool:
        return SourceSpool(
            self.work_dir, source, required=required, optional=optional, cap_bytes=cap_bytes, time_of=time_of
        )


def begun_key(source: str) -> str:
    """Where the time is written down from which collection covers a source."""
    return f"begun/{source}"


def renamed_key(source: str) -> str:
    """Where it is written down that the state of an earlier name was carried over."""
    return f"renamed/{file_safe(source)}"


def _split(registry_file: str) -> tuple[Store, str, str]:
    """The registry's store and key, and where the rest of the state lies."""
    location = checked_registry(registry_file)
    if is_s3(location):
        bucket, key = split_s3(location)
        return open_store(f"s3://{bucket}"), key, f"s3://{bucket}/{_stem(key)}"
    path = Path(location)
    return LocalStore(path.parent), path.name, str(path.with_name(_stem(path.name)))


def _stem(name: str) -> str:
    """The name without `.json`; a name that ends otherwise must not be a directory as well."""
    return name.removesuffix(".json") if name.endswith(".json") and name != ".json" else f"{name}.state"
