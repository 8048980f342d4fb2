"""A lock file that one run holds, and that says who holds it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from flicker_dagster.errors import SourceBusy, StateError
from flicker_dagster.state.files import exclusive

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def run_lock(path: Path, source: str, *, wait_s: float, clock_s: float) -> Iterator[str | None]:
    """Hold it, against other processes and threads; the kernel frees it when the process dies. Yields what identifies the
    lock among those of all machines (see `identity`).

    Raises SourceBusy if another run holds it for longer than `wait_s`, and StateError.
    """
    with ExitStack() as stack:
        try:
            fd = stack.enter_context(exclusive(path, wait_s=wait_s))
        except BlockingIOError:
            raise SourceBusy(
                f"{source}: another run is at work ({_holder(path)}); this one goes on when it has finished"
            ) from None
        except OSError as error:
            raise StateError(f"cannot lock {path}: {error.strerror}; check the path and its permissions") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()}, since {utc(clock_s)}".encode(), 0)
        yield identity(fd)


def identity(fd: int) -> str | None:
    """The same for two openings of one file by one kernel since its start, and for nothing else: whoever holds the lock of
    this file knows that everybody else who held it is gone. None where the kernel does not name its start."""
    boot, found = _boot(), os.fstat(fd)
    return f"{boot}/{found.st_dev:x}/{found.st_ino:x}" if boot else None


@cache
def _boot() -> str | None:
    """The name of this start of the kernel, which no process outlives."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def utc(clock_s: float) -> str:
    """Seconds since the epoch as people read them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock_s))


def _holder(lock_file: Path) -> str:
    try:
        return lock_file.read_text() or "its process is just starting"
    except OSError:
        return "holder unknown"
