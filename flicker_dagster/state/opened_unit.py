"""A unit of the spool as it was found on the disk: its lots, each lane's progress in them, what may be trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.state.lot_frames import FrameFile
from flicker_dagster.state.names import file_safe, from_file_safe
from flicker_dagster.state.old_spool import read_batches
from flicker_dagster.state.unit_file import UnitFile
from flicker_dagster.state.unit_lane import UnitLane
from flicker_dagster.types import FrozenLot


class Waiting(msgspec.Struct, frozen=True):
    """What a unit holds that is not settled. `bytes` is the size of its lots on the disk."""

    lots: int = 0
    events: int = 0
    bytes: int = 0
    oldest_at_ms: int | None = None


class OpenedUnit:
    """Lots and lanes of one generation of a unit. Changes nothing on the disk, except in `add`."""

    def __init__(
        self,
        directory: Path,
        content: UnitFile,
        *,
        guess_first_seq: bool = False,
        sync: bool,
        before_writing: Callable[[], object],
        before_sending: Callable[[], None],
    ) -> None:
        first_seq = None if guess_first_seq else content.first_seq
        self.frames = FrameFile(
            directory / f"lots.{content.generation}", first_seq=first_seq, trusted_bytes=content.synced_bytes
        )
        self.content = msgspec.structs.replace(content, synced_bytes=min(content.synced_bytes, self.frames.end))
        self.state = content.state
        self.lost_frames = self.frames.end < content.committed_bytes
        if self.lost_frames and self.state is not None:
            self.state = self.state.begun_again()
        self._directory = directory
        self._sync = sync
        self._before_writing = before_writing
        self._before_sending = before_sending
        self._lanes: dict[str, UnitLane] = {}

    def lane(self, name: str) -> UnitLane:
        """The queue of a lane. Raises StateError where its journal is damaged."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = UnitLane(
                name,
                self._directory / journal_name(self.content.generation, name),
                self.frames,
                sync=self._sync,
                before_writing=self._before_writing,
                before_sending=self._before_sending,
            )
        return lane

    def waiting(self, name: str) -> Waiting:
        lane = self.lane(name)
        return Waiting(lane.waiting_lots, lane.waiting_events, lane.waiting_bytes, lane.oldest_at_ms)

    def awaiting_events(self, name: str) -> int:
        return self.lane(name).awaiting_events

    def add(self, lots: list[FrozenLot], *, at_ms: int) -> None:
        self.frames.append(lots, at_ms=at_ms)
        for lane in self._lanes.values():
            lane.grew()

    def lanes_on_disk(self) -> list[str]:
        """Names of the lanes that have written something down here, in order."""
        stem = journal_name(self.content.generation, "")
        found = (path.name.removeprefix(stem) for path in self._directory.glob(f"{stem}*"))
        return sorted(from_file_safe(name.removeprefix("@")) for name in found if name[:1] in ("", "@"))

    def close(self) -> None:
        self.frames.file.close()
        for lane in self._lanes.values():
            lane.close()


class OldUnit(OpenedUnit):
    """A unit that an earlier version wrote, read without being changed: it is taken over by the next run."""

    def __init__(self, directory: Path, content: UnitFile) -> None:
        waiting = [batch for batch in read_batches(directory, content) if batch.settled is None]
        self._waiting = Waiting(
            len(waiting),
            sum(batch.head.count for batch in waiting),
            sum(len(batch.body) for batch in waiting),
            waiting[0].head.at_ms if waiting else None,
        )
        here = UnitFile(generation=content.generation, state=content.state)
        super().__init__(directory, here, sync=False, before_writing=_refused, before_sending=_refused)

    def waiting(self, name: str) -> Waiting:
        return self._waiting  # whatever the destination of then is called today

    def awaiting_events(self, name: str) -> int:
        return 0  # the earlier versions knew no receipts


def _refused() -> None:
    raise StateError("a unit of the spool that an earlier version wrote was not taken over; hold the source's lock")


def journal_name(generation: int | str, lane: str) -> str:
    return f"journal.{generation}@{file_safe(lane)}" if lane else f"journal.{generation}"
