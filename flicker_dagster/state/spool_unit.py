"""One unit of the spool: fetched batches that wait for the SIEM, and what it has acknowledged of them."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterator
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.failpoints import reach
from flicker_dagster.state.files import sync_directory
from flicker_dagster.state.opened_unit import OpenedUnit, Waiting
from flicker_dagster.state.unit_file import (
    UnitFile,
    UnitState,
    present_generations,
    read_unit_file,
    write_unit_file,
)
from flicker_dagster.types import Ack, Batch

log = logging.getLogger("flicker.state")

#: A reader without the lock may meet a writer who is clearing; it looks again so many times.
_LOOKS = 5


class _Told:
    """Acknowledgements on their way to the journal."""

    def __init__(self, acks: tuple[Ack, ...]) -> None:
        self.acks = acks
        self.settled = False
        self.error: BaseException | None = None


class SpoolUnit:
    """A durable queue of batches with a resume point, in one directory. Made by `SourceSpool.unit`.

    Reading needs no lock and changes nothing on the disk; whoever writes holds the source's lock. `acknowledge` may be
    called from several threads. What the process wrote survives its death at once; the loss of power costs at most
    what was not yet synced, and the unit then says that its fetch must begin again.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        make_room: Callable[[int], None] | None = None,
        sync_acks: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.directory = directory
        self._make_room = make_room
        self._sync_acks = sync_acks
        self._clock = clock
        self._found: OpenedUnit | None = None
        self._swept = False
        self._mutex = threading.RLock()
        self._told: deque[_Told] = deque()

    # -- reading

    @property
    def state(self) -> UnitState | None:
        """Where this unit's fetch stands; None if nothing was begun. Raises StateError."""
        return self._open().state

    @property
    def waiting(self) -> Waiting:
        """What the SIEM has not acknowledged yet. Raises StateError."""
        with self._mutex:
            found = self._open()
            first = found.first_waiting()
            oldest_at_ms = None if first is None else found.frames.times_ms[first]
            return Waiting(found.waiting_batches, found.waiting_events, found.waiting_bytes, oldest_at_ms)

    def pending(self) -> Iterator[Batch]:
        """Batches not yet acknowledged, oldest first, each read when it is asked for. For the holder of the lock.

        They are brought to the disk before the first one is handed out: had the SIEM a batch that the loss of power
        took from us, its events would be sent again under another batch id. Nor is one handed out before the journal has
        room for its acknowledgement. Raises SpoolFull, and StateError if one is damaged.
        """
        self.sync()
        found = self._open()
        for index in range(len(found.frames)):
            if not found.acknowledged[index]:
                with self._mutex:
                    found.journal.make_room()
                yield found.hand_out(index)

    def digests(self, *, but: Container[int] = ()) -> dict[str, bytes]:
        """Concatenated id digests by window of every batch here, acknowledged or waiting, except those numbered in
        `but`. Raises StateError."""
        parts: dict[str, list[bytes]] = {}
        for window, blob in self._open().frames.digests(but=but):
            parts.setdefault(window, []).append(blob)
        return {window: b"".join(blobs) for window, blobs in parts.items()}

    def acks(self) -> list[Ack]:
        """Acknowledgements since the last `clear`, in the order they came. Raises StateError."""
        with self._mutex:
            return self._open().journal.load()

    # -- writing

    def append(self, batches: list[Batch], state: UnitState) -> None:
        """Commit a page: its batches, numbered here, and the resume point behind it.

        If this is interrupted in between, the batches are kept and the resume point is not: the page is then read
        again and its events are recognised (`known`). Raises SpoolFull (nothing or only the batches were added) and
        StateError.
        """
        with self._mutex:
            found = self._open_to_write()
            reach("spool.append.before_frames")
            if batches:
                if self._make_room is not None:
                    self._make_room(sum(len(batch.body) for batch in batches))
                found.add(batches, at_ms=self._now_ms())
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

    def acknowledge(self, *acks: Ack) -> None:
        """Write down what became of batches; a second word on the same batch changes nothing.

        When this returns the acknowledgements are on the disk; several at once, from one thread or many, cost one sync.
        Raises SpoolFull and StateError, and then none of them was written down.
        """
        told = _Told(acks)
        self._told.append(told)
        with self._mutex:
            if not told.settled:  # nobody wrote it down along with theirs while this waited
                self._write_down([self._told.popleft() for _ in range(len(self._told))])
        if told.error is not None:
            raise told.error

    def _write_down(self, together: list[_Told]) -> None:
        try:
            found = self._open_to_write()
            fresh: dict[int, Ack] = {}
            for told in together:
                for ack in told.acks:
                    index = found.index_of(ack)
                    if not found.acknowledged[index]:
                        fresh.setdefault(index, ack)
            if fresh:
                reach("spool.ack.before_journal")
                found.journal.append([fresh[index] for index in sorted(fresh)], durable=self._sync_acks)
                for index in fresh:
                    found.mark(index)
                reach("spool.ack.after_journal")
        except BaseException as error:
            for told in together:
                told.error = error
            raise
        finally:
            for told in together:
                told.settled = True

    def clear(self, state: UnitState | None) -> None:
        """After the commit: let go of all batches and go on from `state`, at once or (after a crash) not at all.

        Raises StateError while a batch still waits.
        """
        with self._mutex:
            found = self._open_to_write()
            self._refuse_if_waiting(found)
            reach("spool.clear.before_state")
            content = found.content
            if len(found.frames):
                content = UnitFile(generation=content.generation + 1, first_seq=found.frames.next_seq)
            content = msgspec.structs.replace(content, committed_bytes=0, synced_bytes=0, state=state)
            write_unit_file(self.directory, content, durable=True)
            reach("spool.clear.before_unlink")
            self.close()
            self._open_to_write()
            reach("spool.clear.after_unlink")

    def remove(self) -> None:
        """Take a finished unit away altogether. Raises StateError while a batch still waits."""
        with self._mutex:
            if not self.directory.exists():
                return
            self._refuse_if_waiting(self._open())
            reach("spool.remove.before_rename")
            self.close()
            # In one step, so that no crash leaves acknowledged batches without their journal.
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
            if found.lost_frames:
                log.warning("%s: batches are missing (power loss?); their fetch begins again", self.directory)
            for generation, paths in present_generations(self.directory).items():
                for path in paths if generation != found.content.generation else ():
                    self._unlink(path)
            self._swept = True
        return found

    def _look(self) -> OpenedUnit:
        for _ in range(_LOOKS):
            content = self._content()
            found = OpenedUnit(self.directory, content) if content else self._salvaged()
            if not found.lost_frames or self._content() == content:
                return found
            found.close()
        raise StateError(f"{self.directory} changes faster than it can be read; try again")

    def _content(self) -> UnitFile | None:
        try:
            return read_unit_file(self.directory)
        except ValueError as damaged:  # as the loss of power can leave it
            log.warning("%s; its batches are kept and its fetch begins again", damaged)
            return None

    def _salvaged(self) -> OpenedUnit:
        """Without `unit.json` the newest files count. A crash in the first page ever leaves a unit so."""
        generation = max(present_generations(self.directory), default=0)
        return OpenedUnit(self.directory, UnitFile(generation=generation), guess_first_seq=True)

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
        if found.waiting_batches:
            raise StateError(
                f"{self.directory} still holds {found.waiting_batches} batches that the SIEM has not acknowledged; "
                "nothing was removed"
            )

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
