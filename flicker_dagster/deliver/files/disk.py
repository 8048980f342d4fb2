"""What is done to files so that it lasts: whole writes, synced names, locks with an end."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_POLL_S = 0.02


def write_at(fd: int, data: bytes, at: int) -> None:
    """Write every byte of `data` from the offset `at` on; a short write goes on where it stopped."""
    os.lseek(fd, at, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_at(fd: int, length: int, at: int) -> bytes:
    """`length` bytes from the offset `at` on, fewer only at the file's end."""
    parts: list[bytes] = []
    while length > 0:
        part = os.pread(fd, length, at)
        if not part:
            break
        parts.append(part)
        at, length = at + len(part), length - len(part)
    return b"".join(parts)


def create(path: Path, *, mode: int) -> int:
    """A new file, whose name lasts; `mode` holds whatever the umask is. Raises FileExistsError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        sync_directory(path.parent)
    except BaseException:
        os.close(fd)
        raise
    return fd


def make_directory(directory: Path, *, mode: int) -> None:
    """A directory, with those above it, whose names last; harmless where it exists. `mode` holds whatever the umask is."""
    if not directory.parent.is_dir():
        make_directory(directory.parent, mode=mode)
    try:
        os.mkdir(directory, mode)
    except FileExistsError:
        return
    os.chmod(directory, mode)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make new, changed and removed names of a directory last."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def locked(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock of a lock file against other processes and threads. Raises BlockingIOError after `wait_s`.

    The kernel frees it when its holder dies. The file itself is never removed: somebody may be waiting on it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise
                time.sleep(min(LOCK_POLL_S, left_s))
        yield
    finally:
        os.close(fd)
