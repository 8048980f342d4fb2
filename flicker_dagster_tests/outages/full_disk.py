"""Disks that are full: one made so at any chosen write, and a small one that fills up by itself."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

Fill = Callable[[], object]
Free = Callable[[], object]


class Disk:
    """Every way in which our files take up space, with a limit. What lies within a file's size has its space already."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passes_left: int | None = None
        self.refused = 0
        for name in ("write", "mkdir", "open"):
            monkeypatch.setattr(os, name, self._limited(name, getattr(os, name)))

    def full_after(self, passes: int) -> None:
        """So many more writes succeed; the next one is cut in half, and no other succeeds until `free`."""
        self.passes_left, self.refused = passes, 0

    def free(self) -> None:
        self.passes_left = None

    def _limited(self, name: str, real: Any) -> Any:
        def limited(*args: Any, **options: Any) -> Any:
            if self.passes_left is None or not _TAKES_SPACE[name](*args):
                return real(*args, **options)
            if self.passes_left > 0:
                self.passes_left -= 1
                return real(*args, **options)
            self.refused += 1
            if name == "write" and self.refused == 1 and len(args[1]) > 1:
                return real(args[0], args[1][: len(args[1]) // 2])  # as the kernel does with the last free block
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return limited


def _creates(path: Any, flags: int, *_: Any) -> bool:
    return bool(flags & os.O_CREAT) and not os.path.exists(path)


def _grows(fd: int, data: bytes) -> bool:
    found = os.fstat(fd)
    return stat.S_ISREG(found.st_mode) and os.lseek(fd, 0, os.SEEK_CUR) + len(data) > found.st_size


_TAKES_SPACE = {"write": _grows, "open": _creates, "mkdir": lambda *_: True}


@contextmanager
def small_disk(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Fill, Free]]:
    """A file system of one megabyte at `directory`, with how to fill it to the last byte and how to make room again.

    Where we may not mount one, the limited `Disk` stands in for it.
    """
    directory.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        disk = Disk(monkeypatch)
        yield lambda: disk.full_after(0), disk.free
        return
    ballast = directory / "ballast"
    try:
        yield lambda: _fill(ballast), ballast.unlink
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
