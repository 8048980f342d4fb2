"""A file that only grows at its end, opened when first needed, and cut back when a write fails."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from flicker_dagster.errors import SpoolFull, StateError
from flicker_dagster.state.files import FULL_ERRNOS, make_directory, sync_directory, write_all


class AppendOnlyFile:
    """Bytes of one file. A file that does not exist reads as empty; nothing is created before the first `append`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader: int | None = None
        self._writer: int | None = None

    def size(self) -> int:
        fd = self._open_reader()
        return 0 if fd is None else os.fstat(fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`, fewer only at the file's end. Raises StateError."""
        fd = self._open_reader()
        if fd is None:
            return b""
        try:
            data = os.pread(fd, length, offset)
            while 0 < len(data) < length:
                more = os.pread(fd, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise self._failed("read", error) from error
        return data

    def append(self, data: bytes, *, at: int) -> None:
        """Write at `at`, the end of what is valid; whatever a crash left behind it is cut off first.

        Raises SpoolFull for a full disk and StateError otherwise; the file then ends at `at` again.
        """
        try:
            fd = self._open_writer(at)
            os.lseek(fd, at, os.SEEK_SET)
            try:
                write_all(fd, data)
            except OSError:
                with suppress(OSError):  # the next open cuts it off as well
                    os.ftruncate(fd, at)
                raise
        except OSError as error:
            raise self._failed("write", error) from error

    def sync(self, *, at: int) -> None:
        """Bring everything up to `at`, the end of what is valid, to the disk. Raises SpoolFull, StateError."""
        try:
            os.fdatasync(self._open_writer(at))
        except OSError as error:
            raise self._failed("sync", error) from error

    def close(self) -> None:
        for fd in (self._reader, self._writer):
            if fd is not None:
                os.close(fd)
        self._reader = self._writer = None

    def __del__(self) -> None:
        self.close()

    def _open_reader(self) -> int | None:
        if self._reader is None:
            try:
                self._reader = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise self._failed("read", error) from error
        return self._reader

    def _open_writer(self, valid_bytes: int) -> int:
        if self._writer is None:
            make_directory(self.path.parent)
            is_new = not self.path.exists()
            self._writer = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if is_new:
                sync_directory(self.path.parent)
            if os.fstat(self._writer).st_size > valid_bytes:
                os.ftruncate(self._writer, valid_bytes)
        return self._writer

    def _failed(self, doing: str, error: OSError) -> StateError:
        if error.errno in FULL_ERRNOS:
            return SpoolFull(f"cannot {doing} {self.path}: the disk is full; free some space")
        reason = error.strerror or type(error).__name__
        return StateError(f"cannot {doing} {self.path}: {reason}; check the path, its permissions and the disk")
