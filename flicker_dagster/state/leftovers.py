"""What is kept of sources that are no longer configured: found, named, and dropped when somebody says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import msgspec

from flicker_dagster.errors import FlickerError
from flicker_dagster.state.dead_letters import sources_with_dead_letters
from flicker_dagster.state.exclusive import exclusive_run
from flicker_dagster.state.fencing import Fence
from flicker_dagster.state.lane_book import books_of
from flicker_dagster.state.lane_health import LaneHealthFile
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.names import file_safe, from_file_safe


class Leftover(msgspec.Struct, frozen=True):
    """State of a source by its name. `trouble` says why a part of it could not be read."""

    source: str
    position: str | None
    waiting_events: int
    dead_letters: int
    spool: str | None  # where events wait on this machine
    trouble: str | None = None

    def words(self) -> str:
        """One line: what is kept, where, and what to do about it."""
        kept = [f"position {self.position}" if self.position else "no position"]
        if self.spool is not None:
            kept.insert(0, f"{self.waiting_events} events that wait for the SIEM in {self.spool}")
        if self.dead_letters:
            kept.append(f"{self.dead_letters} dead letters")
        if self.trouble is not None:
            kept.append(self.trouble)
        return (
            f"{self.source}: no longer configured, and its state is kept: {', '.join(kept)}. To go on under another name, "
            f"write `renamed_from: {self.source}` into that source; to drop it for good: flicker forget {self.source}"
        )


def find_leftovers(layout: StateLayout, *, configured: Collection[str]) -> list[Leftover]:
    """The state of every source that is not among the configured names, in their order. Raises StateError."""
    known = {file_safe(name) for name in configured}
    return [kept_of(layout, name) for safe, name in sorted(_names(layout).items()) if safe not in known]


class LeftLane(msgspec.Struct, frozen=True):
    """State of a destination that a configured source no longer has."""

    source: str
    lane: str
    dead_letters: int

    def words(self) -> str:
        """One line: what is kept, and what to do about it."""
        kept = f"{self.dead_letters} dead letters and which" if self.dead_letters else "which"
        return (
            f"{self.source}@{self.lane}: this destination is no longer configured, and {kept} events were delivered to it is "
            f"kept. It goes on from there once it is configured again; to drop it for good: flicker forget "
            f"{self.source}@{self.lane}"
        )


def find_left_lanes(layout: StateLayout, *, in_use: Mapping[str, Callable[[], Collection[str]]]) -> list[LeftLane]:
    """The lanes that each of these sources has no longer. `in_use` gives where the state of those it has lies. Raises
    StateError."""
    books = set(books_of(layout.store))
    found: list[LeftLane] = []
    for source, storages in in_use.items():
        if file_safe(source) not in books:
            continue
        used = storages()
        for name, place in layout.lane_book(source).read().items():
            if place.storage not in used:
                found.append(LeftLane(source, name, layout.dead_letters(source, place.storage).count()))
    return found


def forget_lane(layout: StateLayout, source: str, lane: str) -> None:
    """Drop everything that is kept of one lane; what a crash leaves, the next time completes.

    Raises SourceBusy while a run of its source is at work, StateError.
    """
    place = layout.lane_book(source).read().get(lane)
    if place is None:
        return
    spool, fence = layout.spool(source), Fence()
    with exclusive_run(layout, spool, fence=fence):
        spool.forget_lane(lane)
        LaneHealthFile(spool.directory, lane).forget()
        state = layout.fenced(fence)
        _forget_lane(state, source, place.storage)
        state.tokens().forget(f"{source}@{lane}")
        state.lane_book(source).forget(lane)


def kept_of(layout: StateLayout, source: str) -> Leftover:
    """What is kept of a source, read without a lock."""
    trouble, position, waiting, letters = None, None, 0, 0
    spool = layout.spool(source)
    try:
        units = spool.units()
        waiting = sum(spool.unit(name).waiting.events for name in units)
        letters = sum(layout.dead_letters(source, storage).count() for storage in layout.storages(source))
        stands = layout.registry().position(source)
        position = None if stands is None else stands.last_timestamp
    except FlickerError as error:
        units, trouble = spool.units(), str(error)
    finally:
        spool.close()
    return Leftover(source, position, waiting, letters, str(spool.directory) if units else None, trouble)


def is_kept(layout: StateLayout, source: str) -> bool:
    """Whether anything is kept of a source. Raises StateError."""
    return file_safe(source) in _names(layout) or any(layout.ledger(source).windows())


def forget(layout: StateLayout, source: str) -> None:
    """Drop everything that is kept of a source, here and in the store; what a crash leaves, the next time completes.

    Raises SourceBusy while a run of it is at work, StateError.
    """
    spool, fence = layout.spool(source), Fence()
    with exclusive_run(layout, spool, fence=fence) as lease:
        for path in spool.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        for name in layout.lane_book(source).read():
            LaneHealthFile(spool.directory, name).forget()
        LaneHealthFile(spool.directory, "").forget()
        state = layout.fenced(fence)
        for storage in state.storages(source):
            _forget_lane(state, source, storage)
        for name in state.tokens().of_stream(source):
            state.tokens().forget(name)
        for key in state.objects_of(source):
            state.store.delete(key)
        state.registry().remove(source)  # the last that names it
        if lease is not None:
            lease.remove()


def _forget_lane(layout: StateLayout, source: str, storage: str) -> None:
    letters, ledger = layout.dead_letters(source, storage), layout.ledger(source, storage)
    for letter_id in letters.list():
        letters.drop(letter_id)
    for shard in ledger.windows():
        ledger.drop(shard)


def _names(layout: StateLayout) -> dict[str, str]:
    """Names of all sources of which anything is kept, by their spelling as a file. The ledger is not listed: it is large,
    and nothing has one without a beginning."""
    store = layout.store
    found = {file_safe(name): name for name in sources_with_dead_letters(store)}
    for folder in ("positions/", "rewinds/"):
        for key in store.list(folder):
            safe = key[len(folder) :].removesuffix(".json")
            found[safe] = from_file_safe(safe)
    for key in store.list("begun/"):
        name = key.removeprefix("begun/")
        found[file_safe(name)] = name
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in (layout.work_dir / "spool").iterdir():
            if layout.spool(from_file_safe(path.name)).units():
                found[path.name] = from_file_safe(path.name)
    return found | {file_safe(name): name for name in layout.registry().names()}
