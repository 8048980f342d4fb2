"""A unit of the spool as it was found on the disk: its frames, what is acknowledged of them, what may be trusted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.state.frames import FrameFile
from flicker_dagster.state.journal import Journal
from flicker_dagster.state.unit_file import UnitFile
from flicker_dagster.types import Ack, Batch


class Waiting(msgspec.Struct, frozen=True):
    """What a unit holds that the SIEM has not acknowledged. `bytes` is their size on the disk."""

    batches: int = 0
    events: int = 0
    bytes: int = 0
    oldest_at_ms: int | None = None


class OpenedUnit:
    """Frames, journal and counts of one generation of a unit. Changes nothing on the disk, except in `add`."""

    def __init__(self, directory: Path, content: UnitFile, *, guess_first_seq: bool = False) -> None:
        first_seq = None if guess_first_seq else content.first_seq
        self.frames = FrameFile(
            directory / f"batches.{content.generation}", first_seq=first_seq, trusted_bytes=content.synced_bytes
        )
        self.content = msgspec.structs.replace(content, synced_bytes=min(content.synced_bytes, self.frames.end))
        self.journal = Journal(directory / f"journal.{content.generation}")
        self.acknowledged = bytearray(len(self.frames))
        self.waiting_batches = len(self.frames)
        self.waiting_events = sum(self.frames.counts)
        self.waiting_bytes = self.frames.end
        self._first_waiting = 0
        self._handed_out: dict[int, str] = {}  # batch ids by index
        for ack in self.journal.load():
            self.mark(self.index_of(ack))
        self.state = content.state
        self.lost_frames = self.frames.end < content.committed_bytes
        if self.lost_frames and self.state is not None:
            self.state = self.state.begun_again()

    def index_of(self, ack: Ack) -> int:
        """The frame that an acknowledgement is about. Raises StateError if there is no such batch."""
        index = ack.seq - self.frames.first_seq
        if 0 <= index < len(self.frames):
            batch_id = self._handed_out.get(index) or self.frames.head(index).batch_id
            if batch_id == ack.batch_id:
                return index
        raise StateError(
            f"{self.journal.file.path} acknowledges batch {ack.batch_id} as number {ack.seq}, which "
            f"{self.frames.file.path} does not hold. Move their directory away; what waited in it is collected again"
        )

    def hand_out(self, index: int) -> Batch:
        """A batch whose acknowledgement is to be expected. Raises StateError if it is damaged."""
        batch = self.frames.batch(index)
        self._handed_out[index] = batch.batch_id
        return batch

    def mark(self, index: int) -> bool:
        """Count a frame as acknowledged; False if it was so already."""
        if self.acknowledged[index]:
            return False
        self._handed_out.pop(index, None)
        self.acknowledged[index] = 1
        self.waiting_batches -= 1
        self.waiting_events -= self.frames.counts[index]
        self.waiting_bytes -= self.frames.size_of(index)
        return True

    def add(self, batches: list[Batch], *, at_ms: int) -> None:
        before = self.frames.end
        self.frames.append(batches, at_ms=at_ms)
        self.acknowledged.extend(bytes(len(batches)))
        self.waiting_batches += len(batches)
        self.waiting_events += sum(batch.count for batch in batches)
        self.waiting_bytes += self.frames.end - before

    def first_waiting(self) -> int | None:
        index = self.acknowledged.find(0, self._first_waiting)
        self._first_waiting = len(self.acknowledged) if index < 0 else index
        return None if index < 0 else index

    def close(self) -> None:
        self.frames.file.close()
        self.journal.file.close()
