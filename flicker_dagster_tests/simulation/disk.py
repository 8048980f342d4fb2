"""A machine's disk: real files in memory, of which it is known what a loss of power would leave.

The modules of `state/` that write files get this in place of `os`. What was written lasts once its file was synced, a new
or replaced name once its directory was. Until then the loss of power keeps the old, the new, or (of content) something
torn.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any


class SimDisk:
    """`os` as far as `state/` needs it. What it does not know is the real `os`.

    `io` is told of each change before it is made, and raises Killed where the machine dies instead. While `full`, every
    write fails half way, as on a full disk.
    """

    def __init__(self, io: Callable[[str, str], None]) -> None:
        self.full = False
        self.lasts = False  # nobody loses power any more: what would be left is not kept track of
        self.on_sync: Callable[[str], None] = lambda name: None  # told the name of each file brought to the disk
        self._io = io
        self._open: dict[int, str] = {}
        self._unsynced: dict[str, bytes] = {}  # by path, the content that lasts for sure
        self._unnamed: dict[str, bytes | None] = {}  # by path, what stood under this name before; None: nothing

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__[name] = getattr(os, name)
        return found

    # -- changes

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        path = os.fspath(path)
        if flags & os.O_CREAT and not os.path.exists(path):
            self._io("create", path)
            self._refuse_if_full()
            self._unnamed.setdefault(path, None)
        fd = os.open(path, flags, mode)
        self._open[fd] = path
        return fd

    def write(self, fd: int, data: Any) -> int:
        path = self._changed(fd)
        try:
            self._io("write", path)
            self._refuse_if_full()
        except BaseException:
            os.write(fd, bytes(data)[: len(data) // 2])
            raise
        return os.write(fd, data)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)  # who holds a lock: for people to read

    def ftruncate(self, fd: int, length: int) -> None:
        path = self._changed(fd)
        self._io("truncate", path)
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        path = self._open[fd]
        self._io("sync", path)
        if os.path.isdir(path):
            for name in [name for name in self._unnamed if os.path.dirname(name) == path]:
                del self._unnamed[name]
        else:
            self._unsynced.pop(path, None)
            self.on_sync(base_of(path))

    fdatasync = fsync

    def replace(self, source: Any, target: Any) -> None:
        source, target = os.fspath(source), os.fspath(target)
        self._io("replace", target)
        if not self.lasts and target not in self._unnamed:
            self._unnamed[target] = _content(target)
        self._unnamed.pop(source, None)
        if self._unsynced.pop(source, None) is not None:
            self._unsynced[target] = b""
        else:
            self._unsynced.pop(target, None)
        os.replace(source, target)

    def rename(self, source: Any, target: Any) -> None:
        moved = os.fspath(source)
        self._io("rename", moved)
        for pending in (self._unsynced, self._unnamed):
            for path in [path for path in pending if path.startswith(f"{moved}/")]:
                del pending[path]
        os.rename(source, target)

    def unlink(self, path: Any) -> None:
        path = os.fspath(path)
        self._io("unlink", path)
        os.unlink(path)
        self._unsynced.pop(path, None)
        self._unnamed.pop(path, None)

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)
        os.close(fd)  # by a dead process too: the kernel frees its locks

    # -- after a death

    def lose_power(self, chance: random.Random) -> None:
        """What did not last is there, gone or torn, file by file."""
        for path in sorted({*self._unsynced, *self._unnamed}):
            now = _content(path)
            if now is None:
                continue
            if path in self._unnamed and chance.random() < 0.5:
                before = self._unnamed[path]
                os.unlink(path) if before is None else Path(path).write_bytes(before)
            elif path in self._unsynced:
                Path(path).write_bytes(_torn(self._unsynced[path], now, chance))
        self.forget()

    def forget(self) -> None:
        """Another process begins; what the last one left lasts."""
        self._unsynced.clear()
        self._unnamed.clear()
        self._open.clear()

    # -- inside

    def _changed(self, fd: int) -> str:
        path = self._open[fd]
        if not self.lasts and path not in self._unsynced:
            self._unsynced[path] = _content(path) or b""
        return path

    def _refuse_if_full(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _torn(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    """The old content, all of the new, or the new up to some place, perhaps with a hole there."""
    how = chance.choice(["old", "new", "part", "hole"])
    if how in ("old", "new"):
        return sure if how == "old" else now
    same = next((at for at, (one, other) in enumerate(zip(sure, now)) if one != other), min(len(sure), len(now)))
    upto = chance.randint(same, len(now)) if same < len(now) else len(now)
    return now[:same] + (bytes(upto - same) if how == "hole" else now[same:upto])


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def base_of(path: str) -> str:
    """A file's name as a trace shows it: of an unfinished one, what it will be."""
    name = os.path.basename(path)
    return name[1:].rsplit(".", 3)[0] + "~" if name.startswith(".") and name.endswith(".tmp") else name
