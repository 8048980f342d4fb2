"""One unit of the spool: lots of fetched events that wait for their lanes, and the resume point of their fetch."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.failpoints import reach
from flicker_dagster.state.files import sync_directory
from flicker_dagster.state.old_spool import TimeOf, upgrade
from flicker_dagster.state.opened_unit import OldUnit, OpenedUnit, Waiting
from flicker_dagster.state.unit_file import (
    UnitFile,
    UnitState,
    present_generations,
    read_unit_file,
    write_unit_file,
)
from flicker_dagster.state.unit_lane import UnitLane
from flicker_dagster.types import FrozenLot

log = logging.getLogger("flicker.state")

#: What a lot's columns take for each event, beside its bytes.
COLUMN_BYTES = 28

#: A reader without the lock may meet a writer who is clearing; it looks again so many times.
_LOOKS = 5


class SpoolUnit:
    """A durable queue of lots with a resume point, in one directory. Made by `SourceSpool.unit`.

    Reading needs no lock and changes nothing on the disk; whoever writes holds the source's lock. What the process wrote
    survives its death at once; the loss of power costs at most what was not yet synced, and the unit then says that its
    fetch must begin again. Lots stay until all `required` lanes have settled them, and the `optional` ones too or given
    them up.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        required: Sequence[str] = ("",),
        optional: Sequence[str] = (),
        make_room: Callable[[int], None] | None = None,
        sync_acks: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.directory = directory
        self.required, self.optional = tuple(required), tuple(optional)
        self._make_room = make_room
        self._sync_acks = sync_acks
        self._clock = clock
        self._found: OpenedUnit | None = None
        self._swept = False
        self._mutex = threading.RLock()

    # -- reading

    @property
    def state(self) -> UnitState | None:
        """Where this unit's fetch stands; None if nothing was begun. Raises StateError."""
        return self._open().state

    @property
    def waiting(self) -> Waiting:
        """What the lane that is furthest behind has not settled, of those that the position waits for. Raises StateError."""
        with self._mutex:
            found = self._open()
            return max((found.waiting(name) for name in self.required), key=lambda waiting: waiting.events)

    def waiting_of(self, lane: str) -> Waiting:
        """What a lane has not settled. Raises StateError."""
        with self._mutex:
            return self._open().waiting(lane)

    def awaiting_events_of(self, lane: str) -> int:
        """How many of those a lane's destination has taken and not yet confirmed. Raises StateError."""
        with self._mutex:
            return self._open().awaiting_events(lane)

    def lane(self, name: str) -> UnitLane:
        """The queue of a lane, until the unit is cleared or closed. Raises StateError."""
        with self._mutex:
            return self._open().lane(name)

    def lanes_on_disk(self) -> list[str]:
        """Names of the lanes, configured or not, that have written something down here. Raises StateError."""
        with self._mutex:
            return self._open().lanes_on_disk()

    def digests(self) -> dict[str, bytes]:
        """Concatenated id digests by shard of every lot here, settled or waiting. Raises StateError."""
        frames = self._open().frames
        parts: dict[str, list[bytes]] = {}
        for index in range(len(frames)):
            for shard, blob in frames.digests_of(index):
                parts.setdefault(shard, []).append(blob)
        return {shard: b"".join(blobs) for shard, blobs in parts.items()}

    @property
    def is_settled(self) -> bool:
        """Is there nothing that any lane could still send? Raises StateError."""
        with self._mutex:
            found = self._open()
            return not any(found.waiting(name).events for name in (*self.required, *self.optional))

    # -- writing

    def append(self, lots: list[FrozenLot], state: UnitState) -> None:
        """Commit a page: its lots, numbered here, and the resume point behind it.

        If this is interrupted in between, the lots are kept and the resume point is not: the page is then read again and
        its events are recognised (`known`). Raises SpoolFull (nothing or only the lots were added) and StateError.
        """
        with self._mutex:
            found = self._open_to_write()
            reach("spool.append.before_frames")
            if lots:
                if self._make_room is not None:
                    self._make_room(sum(len(lot.array) + COLUMN_BYTES * lot.count for lot in lots))
                found.add(lots, at_ms=self._now_ms())
            reach("spool.append.before_state")
            self._save(found, state, durable=False)
            reach("spool.append.after_state")

    def sync(self) -> None:
        """Bring everything appended so far to the disk: the hand-over from fetch to deliver. Raises StateError."""
        with self._mutex:
            found = self._open()
            if found.frames.end <= found.content.synced_bytes:
                return
            found = self._open_to_write()
            found.frames.file.sync(at=found.frames.end)
            reach("spool.sync.before_state")
            found.content = msgspec.structs.replace(found.content, synced_bytes=found.frames.end)
            self._save(found, found.state, durable=True)

    def clear(self, state: UnitState | None) -> None:
        """After the commit: let go of all lots and go on from `state`, at once or (after a crash) not at all. Lots that an
        optional lane has not settled stay for it.

        Raises StateError while a required lane still waits.
        """
        with self._mutex:
            found = self._open_to_write()
            self._refuse_if_waiting(found)
            reach("spool.clear.before_state")
            content = msgspec.structs.replace(found.content, state=state, delivered_seq=found.frames.next_seq)
            if any(found.waiting(name).events for name in self.optional):
                content = msgspec.structs.replace(content, committed_bytes=found.frames.end)
            else:
                if len(found.frames):
                    content = msgspec.structs.replace(
                        content, generation=content.generation + 1, first_seq=found.frames.next_seq
                    )
                content = msgspec.structs.replace(content, committed_bytes=0, synced_bytes=0)
            write_unit_file(self.directory, content, durable=True)
            reach("spool.clear.before_unlink")
            self.close()
            self._open_to_write()
            reach("spool.clear.after_unlink")

    def remove(self) -> None:
        """Take a finished unit away altogether; one that an optional lane has not settled stays for it, without a resume
        point. Raises StateError while a required lane still waits."""
        with self._mutex:
            if not self.directory.exists():
                return
            self._refuse_if_waiting(self._open())
            if not self.is_settled:
                self.clear(None)
                return
            reach("spool.remove.before_rename")
            self.close()
            # In one step, so that no crash leaves settled lots without their journals.
            grave = self.directory.with_name(f".removed-{self.directory.name}-{time.time_ns():x}")
            try:
                os.rename(self.directory, grave)
                sync_directory(grave.parent)
            except OSError as error:
                raise StateError(f"cannot remove {self.directory}: {error.strerror}; check its permissions") from error
            reach("spool.remove.after_rename")
            shutil.rmtree(grave, ignore_errors=True)  # what is left over, the next `lock` sweeps up

    def close(self) -> None:
        """Let go of the files; the next use reads them anew."""
        with self._mutex:
            if self._found is not None:
                self._found.close()
            self._found, self._swept = None, False

    # -- inside

    def _open(self) -> OpenedUnit:
        if self._found is None:
            with self._mutex:
                self._found = self._found or self._look()
        return self._found

    def _open_to_write(self) -> OpenedUnit:
        """Also sweeps up the files of earlier generations that a crash left."""
        found = self._open()
        if not self._swept:
            for name in (*self.required, *self.optional):
                found.lane(name)  # one whose journal does not fit is told before anything is added
            if found.lost_frames:
                log.warning("%s: lots are missing (power loss?); their fetch begins again", self.directory)
            for generation, paths in present_generations(self.directory).items():
                for path in paths if generation != found.content.generation else ():
                    self._unlink(path)
            self._swept = True
        return found

    def _look(self) -> OpenedUnit:
        for _ in range(_LOOKS):
            content = self._content()
            found = self._opened(content) if content else self._salvaged()
            if not found.lost_frames or self._content() == content:
                return found
            found.close()
        raise StateError(f"{self.directory} changes faster than it can be read; try again")

    def _content(self) -> UnitFile | None:
        try:
            return read_unit_file(self.directory)
        except ValueError as damaged:  # as the loss of power can leave it
            log.warning("%s; its lots are kept and its fetch begins again", damaged)
            return None

    def _salvaged(self) -> OpenedUnit:
        """Without `unit.json` the newest files count. A crash in the first page ever leaves a unit so."""
        generation = max(present_generations(self.directory), default=0)
        return self._opened(UnitFile(generation=generation), guess_first_seq=True)

    def upgrade(self, *, source: str, time_of: TimeOf | None) -> None:
        """Take over what an earlier version wrote. For the holder of the lock. Raises StateError."""
        content = self._content()
        if content is not None and content.version == 1:
            upgrade(self.directory, content, source=source, time_of=time_of)
            self.close()

    def _opened(self, content: UnitFile, *, guess_first_seq: bool = False) -> OpenedUnit:
        if content.version == 1:
            return OldUnit(self.directory, content)
        return OpenedUnit(
            self.directory,
            content,
            guess_first_seq=guess_first_seq,
            sync=self._sync_acks,
            before_writing=self._open_to_write,
            before_sending=self.sync,
        )

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"cannot remove {path}: {error.strerror}; check its permissions") from error

    def _save(self, found: OpenedUnit, state: UnitState | None, *, durable: bool) -> None:
        content = msgspec.structs.replace(
            found.content, first_seq=found.frames.first_seq, committed_bytes=found.frames.end, state=state
        )
        write_unit_file(self.directory, content, durable=durable)
        found.content, found.state, found.lost_frames = content, state, False

    def _refuse_if_waiting(self, found: OpenedUnit) -> None:
        for name in self.required:
            waiting = found.waiting(name)
            if waiting.events:
                where = f" in lane {name}" if name else ""
                raise StateError(
                    f"{self.directory} still holds {waiting.events} events that the SIEM has not acknowledged{where}; "
                    "nothing was removed"
                )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
