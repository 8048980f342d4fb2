"""Local files that survive a crash: atomic replacement, directory syncs and locks between processes."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: A full disk, an exhausted quota.
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})

_LOCK_POLL_S = 0.05


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of `data` at the file's end or offset; a short write goes on where it stopped."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def replace_file(path: Path, data: bytes, *, durable: bool, mtime_ns: int | None = None) -> None:
    """Put `data` at `path` so that a reader sees the old bytes or the new ones, never a mixture.

    With `durable` both the bytes and the name are on the disk when this returns; without, the file survives the
    death of the process but perhaps not the loss of power. On failure the old file stands and nothing is left over.
    """
    directory, name = os.path.split(path)
    temp = os.path.join(directory, f".{name}.{os.getpid()}.{time.monotonic_ns():x}.tmp")
    try:
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_all(fd, data)
            if mtime_ns is not None:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temp, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temp)
        raise
    if durable:
        sync_directory(Path(directory))


def sync_directory(directory: Path) -> None:
    """Make renames, creations and removals in a directory survive the loss of power."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(directory: Path) -> None:
    """Create a directory and those above it, for this user only, so that they survive the loss of power; harmless if
    they exist."""
    if not directory.is_dir():
        make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)


@contextmanager
def exclusive(path: Path, *, wait_s: float | None = None) -> Iterator[int]:
    """Hold the lock of a lock file, against other processes and other threads alike; yields its descriptor.

    The kernel frees it when the holder dies. `wait_s` None waits for ever; after `wait_s` seconds raises
    BlockingIOError. The file itself is never removed: somebody may be waiting on it.
    """
    make_directory(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if wait_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            _lock_within(fd, wait_s)
        yield fd
    finally:
        os.close(fd)


def _lock_within(fd: int, wait_s: float) -> None:
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise
            time.sleep(min(_LOCK_POLL_S, left_s))
