"""Where state objects live: a small store of named bytes with conditional writes, in a directory or in S3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.failpoints import reach
from flicker_dagster.state.files import FULL_ERRNOS, exclusive, replace_file, sync_directory
from flicker_dagster.state.locations import checked_location, is_s3, split_s3


class Stored(NamedTuple):
    """An object as it was read: its bytes, and the version that a conditional write compares."""

    data: bytes
    version: str


class Marker(Enum):
    ANYTHING = "anything"
    UNCHANGED = "unchanged"


#: For `write`: replace whatever is there, or is not.
ANYTHING: Final = Marker.ANYTHING
#: From `read_changed`: the object still has the version the caller knows.
UNCHANGED: Final = Marker.UNCHANGED


class Store(Protocol):
    """Named bytes. Keys are `/`-separated and relative; every failure but "not there" raises StateError."""

    def read(self, key: str) -> Stored | None:
        """The object, or None only if it does not exist."""
        ...

    def read_changed(self, key: str, version: str) -> Stored | Literal[Marker.UNCHANGED] | None:
        """Like `read`, but UNCHANGED (and no download) where the object still has `version`."""
        ...

    def write(self, key: str, data: bytes, *, expected: str | Literal[Marker.ANYTHING] | None) -> str:
        """Write an object and give its new version.

        `expected` None: only if it does not exist; a version: only if it still has that one; ANYTHING: always.
        Raises WriteConflict if the condition does not hold, and then nothing was written.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; harmless if it is not there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys below a folder (`prefix` ends in `/`), in order."""
        ...

    def describe(self, key: str) -> str:
        """The object as a user knows it: a path or `s3://bucket/key`."""
        ...


class LocalStore:
    """A directory. Writes are temp file, fsync, rename, directory fsync, under a lock per directory."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, key: str) -> Stored | None:
        found = self._read(key, None)
        assert found is not UNCHANGED
        return found

    def read_changed(self, key: str, version: str) -> Stored | Literal[Marker.UNCHANGED] | None:
        return self._read(key, version)

    def _read(self, key: str, version: str | None) -> Stored | Literal[Marker.UNCHANGED] | None:
        path = self.root / key
        try:
            with open(path, "rb") as file:
                here = _version(os.fstat(file.fileno()))
                return UNCHANGED if here == version else Stored(file.read(), here)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed("read", path, error) from error

    def write(self, key: str, data: bytes, *, expected: str | Literal[Marker.ANYTHING] | None) -> str:
        path = self.root / key
        try:
            with exclusive(path.parent / ".lock"):
                before = _stat(path)
                if expected is not ANYTHING and expected != (None if before is None else _version(before)):
                    raise WriteConflict(f"{path} was changed by another process since it was read")
                reach("store.write.before")
                # Inodes are reused and the kernel's clock ticks in milliseconds: only a time of our own that always
                # grows makes two writes in a row differ for sure.
                mtime_ns = max(time.time_ns(), 0 if before is None else before.st_mtime_ns + 1)
                replace_file(path, data, durable=True, mtime_ns=mtime_ns)
                reach("store.write.after")
                return _version(os.stat(path))
        except OSError as error:
            raise _failed("write", path, error) from error

    def delete(self, key: str) -> None:
        path = self.root / key
        try:
            os.unlink(path)
            sync_directory(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed("delete", path, error) from error

    def list(self, prefix: str) -> Iterator[str]:
        top = self.root / prefix
        if not top.is_dir():
            return
        try:
            for folder, folders, files in os.walk(top, onerror=_raise):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    if not name.startswith("."):  # locks and unfinished writes
                        yield (Path(folder) / name).relative_to(self.root).as_posix()
        except OSError as error:
            raise _failed("list", top, error) from error

    def describe(self, key: str) -> str:
        return str(self.root / key)


def open_store(location: str | Path) -> Store:
    """The store at a directory or at `s3://bucket/prefix`. Nothing is read, created or connected yet. Raises
    LocationError for what is neither."""
    text = str(location)
    if not is_s3(text):
        return LocalStore(location if isinstance(location, Path) else checked_location(text))
    from flicker_dagster.state.s3 import S3Store

    bucket, prefix = split_s3(text)
    return S3Store(bucket, prefix)


def _version(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_ino:x}-{stat.st_size:x}"


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _raise(error: OSError) -> None:
    raise error


def _failed(doing: str, path: Path, error: OSError) -> StateError:
    if error.errno in FULL_ERRNOS:
        return StateError(f"cannot {doing} {path}: the disk is full; nothing was changed, free some space")
    reason = error.strerror or type(error).__name__
    return StateError(f"cannot {doing} {path}: {reason}; nothing was changed, check the path and its permissions")
