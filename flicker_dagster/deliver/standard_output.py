"""The standard output of the command that a person started, for runs that are processes of their own.

What Flicker's processes print is their log: the command takes it all, and shows what is worth showing on its standard
error. So the command hands its standard output down beside, as a descriptor of its own, named in the environment together
with what it stands for: a process that did not inherit it must not write to whatever has that number there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flicker_dagster.transport.deadlines import Deadline

VARIABLE = "FLICKER_STDOUT"
#: There was none when the command was started.
CLOSED = "closed"

#: A pipe that is ready for writing takes this much without waiting.
PIPE_BYTES = select.PIPE_BUF
FILE_BYTES = 256 * 1024
_LOCK_POLL_S = 0.005


class NotReachable(Exception):
    """There is no standard output here that anybody reads."""


class TookTooLong(Exception):
    """The reader is slow. `written` bytes of it are out."""

    def __init__(self, written: int) -> None:
        super().__init__()
        self.written = written


def hand_down(fd: int = 1) -> str:
    """The value of the variable: it names a copy of this process's standard output, which children are given by
    `inherited`."""
    try:
        copy = os.dup(fd)
    except OSError:
        return CLOSED
    return f"{copy}:{_identity(copy)}"


def take_back(told: str) -> None:
    """Close the copy."""
    fd = _valid(told)
    if fd is not None:
        os.close(fd)


def inherited(env: Mapping[str, str]) -> tuple[int, ...]:
    """Descriptors that a child has to be given (`pass_fds`)."""
    fd = _valid(env.get(VARIABLE, ""))
    return () if fd is None else (fd,)


def descriptor(env: Mapping[str, str]) -> int:
    """Where events go: what was handed down, else this process's own standard output. Raises NotReachable."""
    told = env.get(VARIABLE)
    if told is None:
        return 1
    fd = _valid(told)
    if fd is None:
        raise NotReachable(
            "the command was started without a standard output"
            if told == CLOSED
            else "this run was not started by Flicker's own launcher, so that its standard output is not the command's"
        )
    return fd


def write_lines(fd: int, data: bytes, *, deadline: Deadline) -> None:
    """Write all of it, apart from what other processes write. Raises OSError, TookTooLong."""
    with _alone(fd, deadline):
        most = FILE_BYTES if stat.S_ISREG(os.fstat(fd).st_mode) else PIPE_BYTES
        ready = select.poll()
        ready.register(fd, select.POLLOUT)
        view = memoryview(data)
        at = 0
        while at < len(view):
            left_ms = int(deadline.left_s * 1000)
            if left_ms <= 0 or not ready.poll(left_ms):
                raise TookTooLong(at)
            try:
                at += os.write(fd, view[at : at + most])
            except BlockingIOError:  # somebody else made it so, and another took the room
                time.sleep(_LOCK_POLL_S)


@contextmanager
def _alone(fd: int, deadline: Deadline) -> Iterator[None]:
    """Hold the lock of what stands behind the descriptor against other processes, where it has one."""
    held = False
    while not held:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                break  # it knows no locks
            if deadline.left_s <= 0:
                raise TookTooLong(0) from None
            time.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        if held:
            fcntl.lockf(fd, fcntl.LOCK_UN)


def _identity(fd: int) -> str:
    found = os.fstat(fd)
    return f"{found.st_dev}:{found.st_ino}"


def _valid(told: str) -> int | None:
    """The descriptor, if it is open here and what it was when it was handed down."""
    number, _, identity = told.partition(":")
    try:
        fd = int(number)
        return fd if _identity(fd) == identity else None
    except (ValueError, OSError, OverflowError):
        return None
