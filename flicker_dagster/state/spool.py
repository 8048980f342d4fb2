"""The durable queue on the local disk between fetch and deliver, one directory per source."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from flicker_dagster.errors import SpoolFull, StateError
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.names import file_safe, from_file_safe
from flicker_dagster.state.old_spool import TimeOf
from flicker_dagster.state.opened_unit import Waiting, journal_name
from flicker_dagster.state.run_lock import run_lock
from flicker_dagster.state.spool_unit import SpoolUnit
from flicker_dagster.state.unit_file import Failed, UnitState

#: The spool's files are counted anew once so much of the cap was added since, and always where the cap is near.
UNCOUNTED = 0.01
NEARLY_FULL = 0.9

#: The runs whose fetch wrote here, newest last, and how many are remembered.
RUNS_FILE = ".runs.json"
MOST_RUNS = 50

__all__ = ["Failed", "SourceSpool", "SpoolUnit", "UnitState", "Waiting"]


class SourceSpool:
    """All units of one source below `<work_dir>/spool/<source>/`.

    `required` are the lanes that the position waits for, `optional` the others. `cap_bytes` bounds what lies there: an
    append that would exceed it raises SpoolFull. `time_of` reads an event's time, for units of earlier versions, which did
    not keep it. Nothing is created on the disk before something is written.
    """

    def __init__(
        self,
        work_dir: str | Path,
        source: str,
        *,
        required: Sequence[str] = ("",),
        optional: Sequence[str] = (),
        cap_bytes: int | None = None,
        sync_acks: bool = True,
        time_of: TimeOf | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self.directory = Path(work_dir) / "spool" / file_safe(source)
        self.required, self.optional = tuple(required), tuple(optional)
        self._cap_bytes = cap_bytes
        self._sync_acks = sync_acks
        self._time_of = time_of
        self._clock = clock
        self._units: dict[str, SpoolUnit] = {}
        self._counted: float = math.inf  # bytes on the disk when last counted,
        self._added = 0  # and what came since

    @contextmanager
    def lock(self, *, wait_s: float = 0) -> Iterator[str | None]:
        """Be the only run of this source that writes here, in this process or another; yields what identifies the lock.
        Collecting needs more than that: `state.exclusive`.

        Frees itself when the process dies. Raises SourceBusy if another run holds it for longer than `wait_s`.
        """
        lock_file = self.directory / ".lock"
        with run_lock(lock_file, self.source, wait_s=wait_s, clock_s=self._clock()) as lock:
            self.close()  # what was read without the lock may be out of date
            self._counted = math.inf
            self._sweep()
            for name in self.units():
                self.unit(name).upgrade(source=self.source, time_of=self._time_of)
            try:
                yield lock
            finally:
                self.close()

    def unit(self, name: str) -> SpoolUnit:
        """The unit `live` or a window's; always the same object, until `close`."""
        unit = self._units.get(name)
        if unit is None:
            unit = self._units[name] = SpoolUnit(
                self.directory / file_safe(name),
                name,
                required=self.required,
                optional=self.optional,
                make_room=self._make_room,
                sync_acks=self._sync_acks,
                clock=self._clock,
            )
        return unit

    def units(self) -> list[str]:
        """Names of the units on the disk, in order."""
        return sorted(from_file_safe(path.name) for path in self._directories())

    def waiting_bytes(self) -> int:
        """Bytes of all lots that a required lane has not settled. Raises StateError."""
        return sum(self.unit(name).waiting.bytes for name in self.units())

    def used_bytes(self) -> int:
        """Bytes of all lots on the disk, the settled ones that await their commit included."""
        used = 0
        for unit in self._directories():
            with suppress(FileNotFoundError), os.scandir(unit) as files:  # a reader without the lock may meet a `clear`
                for file in files:
                    if file.name.startswith(("lots.", "batches.")):
                        used += file.stat().st_size
        return used

    def note_run(self, run_id: str) -> None:
        """This run's fetch writes here. For the holder of the lock. Raises StateError."""
        known = [each for each in self._runs() if each != run_id][-MOST_RUNS + 1 :]
        try:
            make_directory(self.directory)
            replace_file(self.directory / RUNS_FILE, msgspec.json.encode([*known, run_id]), durable=False)
        except OSError as error:
            raise StateError(
                f"cannot write {self.directory / RUNS_FILE}: {error.strerror}; check its permissions"
            ) from error

    def knows_run(self, run_ids: Collection[str | None]) -> bool:
        """Did the fetch of one of these runs write here?"""
        return any(run_id in run_ids for run_id in self._runs())

    def _runs(self) -> list[str]:
        try:
            return msgspec.json.decode((self.directory / RUNS_FILE).read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            return []

    def forget_lane(self, name: str) -> None:
        """Drop what a lane wrote down in these units: taken up again, it is to deliver what they hold. For the holder of the
        lock. Raises StateError."""
        self.close()
        try:
            for unit in self._directories():
                for path in unit.glob(journal_name("*", name)):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"cannot remove {error.filename}: {error.strerror}; check its permissions") from error

    def close(self) -> None:
        """Let go of all files; units that callers still hold read theirs anew when next used."""
        for unit in self._units.values():
            unit.close()

    def _make_room(self, size_bytes: int) -> None:
        """Raises SpoolFull. Counts the files only now and then: whoever makes room holds the lock, and what he added
        since is a small part of the cap."""
        cap = self._cap_bytes
        if cap is None:
            return
        self._added += size_bytes
        if self._counted + self._added <= cap * NEARLY_FULL and self._added <= cap * UNCOUNTED:
            return
        self._counted, self._added = self.used_bytes(), size_bytes
        used = self._counted
        # An empty spool takes a page of any size: otherwise one larger than the cap would stop its source for ever.
        if used and used + size_bytes > cap:
            raise SpoolFull(f"{self.source}: the spool holds {used} bytes and has reached limits.spool_bytes ({cap})")

    def _directories(self) -> list[Path]:
        return [path for path in self._below() if not path.name.startswith(".")]

    def _sweep(self) -> None:
        for path in self._below():
            if path.name.startswith(".removed-"):
                shutil.rmtree(path, ignore_errors=True)

    def _below(self) -> list[Path]:
        try:
            with os.scandir(self.directory) as found:
                return [self.directory / each.name for each in found if each.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
