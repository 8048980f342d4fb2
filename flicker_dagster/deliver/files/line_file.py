"""A file of lines that each request is in once, whatever dies meanwhile and however often the request comes.

A request is written in this order: its lines, synced; the commit log's entry, synced. Whoever opens the file next cuts off
what no entry speaks for, and knows by the entries which requests are in. All of it happens under a lock, so that several
processes may write one file.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from flicker_dagster.deliver.files.commit_log import CommitLog, Entry
from flicker_dagster.deliver.files.disk import create, locked, make_directory, read_at, write_at
from flicker_dagster.deliver.files.rotation import Rotation, compress_rotated, is_there, name_for
from flicker_dagster.lots import spans_of
from flicker_dagster.transport.deadlines import Deadline

log = logging.getLogger("flicker.deliver")

#: So much before a file's end tells it from another one.
TAIL_BYTES = 1024


class NotAFile(OSError):
    """Something else than a regular file has the name."""


class LineFile:
    """The file at `path`, with its log and lock as hidden files beside it. Usable from several threads and processes."""

    def __init__(self, path: Path, *, mode: int, rotation: Rotation, now_ms: Callable[[], int]) -> None:
        self.path = path
        self._mode = mode
        self._rotation = rotation
        self._now_ms = now_ms
        self._log = CommitLog(path.with_name(f".{path.name}.commits"))
        self._lock = path.with_name(f".{path.name}.lock")
        self._fd: int | None = None

    def write(
        self, lot: str, places: Sequence[int], lines_of: Callable[[Sequence[int]], bytes], *, wait_s: float
    ) -> list[int]:
        """Add the events of a lot that the file does not hold yet. Answers which were: indices into `places`.

        `lines_of` makes the lines of those. Raises BlockingIOError when another writer keeps the lock for `wait_s`, and
        OSError; then nothing was added, or all of it and the next call finds it.
        """
        with self._opened(wait_s):
            held = self._places_of(lot)
            fresh = [index for index, place in enumerate(places) if place not in held]
            if fresh:
                self._commit(lines_of(fresh), lot, [places[index] for index in fresh])
            return fresh

    def compress(self, *, deadline: Deadline | None) -> None:
        """Compress what was rotated, while others may write on. Raises OSError."""
        if self.path.parent.is_dir():
            with suppress(BlockingIOError), locked(self._lock.with_suffix(".gz-lock"), wait_s=0):
                compress_rotated(self.path, mode=self._mode, deadline=deadline)

    def close(self) -> None:
        self._log.forget()
        self._close_file()

    # -- opening

    @contextmanager
    def _opened(self, wait_s: float) -> Iterator[None]:
        """The lock, and the file as its log describes it. After any failure both are looked at again."""
        if not self.path.parent.is_dir():
            make_directory(self.path.parent, mode=self._mode | (self._mode & 0o444) >> 2)
        with locked(self._lock, wait_s=wait_s):
            try:
                self._log.refresh()
                self._attach()
                yield
            except BaseException:
                self.close()
                raise

    def _attach(self) -> None:
        """Have the active file open, ending where the last request ends."""
        last = self._log.last
        if self._log.damaged:
            log.warning("%s is damaged: which requests are in %s is no longer known", self._log.path, self.path)
            self._log.begin_anew()
        if last is not None and last.rotated:
            self._finish_rotation(last)
        if self._fd is not None and not self._is_named(self._fd):
            self._close_file()
        if self._fd is None and not self._open():
            self._begin(last)
        elif last is None or last.rotated or not self._is_ours(last):
            if last is not None and not last.rotated:
                log.warning(
                    "%s is not as it was left: somebody else moved, cut or wrote it; what is in it stays", self.path
                )
            self._begin(last)
        elif self._size() > last.end:
            os.ftruncate(self._file, last.end)  # written by a process that died before it was whole

    def _open(self) -> bool:
        """Open the file that has the name; make one where there is none. Was there one?"""
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            self._fd = create(self.path, mode=self._mode)
            return False
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise NotAFile(f"{self.path} is no regular file")
        return True

    def _is_named(self, fd: int) -> bool:
        """Does the open file still have the active name? It is held open, so that no other can have its number."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _is_ours(self, last: Entry) -> bool:
        """Is it the file that the log speaks of? A copy with the same end is, too: it was put back from a backup."""
        if self._size() < last.end:
            return False
        if last.end == 0:
            return os.fstat(self._file).st_ino == last.inode
        return self._tail(last.end) == last.tail

    def _begin(self, last: Entry | None) -> None:
        """Take a file over that the log does not know, from its end on: what others wrote is never cut off."""
        end = self._size()
        if end and read_at(self._file, 1, end - 1) != b"\n":
            write_at(self._file, b"\n", end)
            os.fsync(self._file)
            end += 1
        self._log.append(
            Entry(
                file=1 if last is None else last.file + 1,
                inode=os.fstat(self._file).st_ino,
                began_ms=self._now_ms(),
                end=end,
                tail=self._tail(end),
            )
        )

    # -- writing

    def _commit(self, lines: bytes, lot: str, places: Sequence[int]) -> None:
        last = self._last
        if self._rotation.due(end=last.end, more=len(lines), began_ms=last.began_ms, now_ms=self._now_ms()):
            self._rotate(last)
            last = self._last
        end = last.end + len(lines)
        try:
            write_at(self._file, lines, last.end)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # so that no reader sees half a line; whoever opens it next tries again
                os.ftruncate(self._file, last.end)
            raise
        self._log.append(
            Entry(
                file=last.file,
                inode=last.inode,
                began_ms=last.began_ms,
                end=end,
                tail=self._tail(end),
                lot=lot,
                spans=spans_of(places),
            )
        )

    def _rotate(self, last: Entry) -> None:
        """Give the file its other name and begin a new one. The log says so first: whoever comes after a death goes on."""
        name = name_for(self.path, began_ms=last.began_ms)
        self._log.append(
            Entry(
                file=last.file,
                inode=last.inode,
                began_ms=last.began_ms,
                end=last.end,
                tail=last.tail,
                rotated=name,
            )
        )
        self._attach()

    def _finish_rotation(self, last: Entry) -> None:
        if not self._open_named(last):
            return  # renamed before
        os.replace(self.path, self.path.with_name(last.rotated))
        self._close_file()  # its successor is made next, and the directory synced with that

    def _open_named(self, last: Entry) -> bool:
        """Open the active file. Is it the one that is being rotated?"""
        self._close_file()
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        return os.fstat(self._fd).st_ino == last.inode and self._is_ours(last)

    # -- reading

    def _places_of(self, lot: str) -> set[int]:
        """Which events of a lot are in a file that still exists: what somebody has removed may be asked for again."""
        held: set[int] = set()
        current = self._last.file
        for entry in self._log.entries_of(lot):
            if entry.file != current:
                name = self._log.rotated_name(entry.file)
                if name is None or not is_there(self.path, name):
                    continue
            for start, stop in entry.spans:
                held.update(range(start, stop))
        return held

    @property
    def _last(self) -> Entry:
        assert self._log.last is not None
        return self._log.last

    @property
    def _file(self) -> int:
        assert self._fd is not None
        return self._fd

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _tail(self, end: int) -> str:
        start = max(0, end - TAIL_BYTES)
        return blake2b(read_at(self._file, end - start, start), digest_size=8).hexdigest() if end else ""

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
