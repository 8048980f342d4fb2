"""Where the notes of an account's quota lie: a small file that is locked for each change, or an object of a store.

They are neither durable nor fenced: what is lost of them is only known anew by the next answer.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.files import make_directory
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.stores import UNCHANGED, LocalStore, Store, Stored

#: A larger file is not ours.
MOST_BYTES = 64 * 1024

#: Who does not get the lock in so long goes on without: its holder was stopped.
LOCK_S = 0.2

#: Writers of an object that collide so often go on without.
TRIES = 8


def quota_key(account: str) -> str:
    """Where the notes of an account lie."""
    return f"quota/{file_safe(account)}.json"


def quota_book(store: Store, account: str) -> LocalBook | RemoteBook:
    """The book of an account, by the key that all streams which share its quota have."""
    key = quota_key(account)
    return LocalBook(store.root / key) if isinstance(store, LocalStore) else RemoteBook(store, key)


class LocalBook:
    """A file, locked (flock) for each change: some microseconds, so that places are taken one by one."""

    is_near = True
    look_every_s = 1.0
    tell_every_s = 10.0
    ahead_ms = 0.0
    least_per_ms = 0

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        try:
            return self._path.read_bytes()[:MOST_BYTES]
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self._error("read", error) from error

    def update(self, change: Callable[[bytes], bytes]) -> None:
        try:
            fd = self._open()
            try:
                _lock(fd)
                before = os.pread(fd, MOST_BYTES, 0)
                after = change(before)
                if after != before:
                    os.pwrite(fd, after, 0)
                    if len(after) < len(before):
                        os.ftruncate(fd, len(after))
            finally:
                os.close(fd)  # and unlock it
        except OSError as error:
            raise self._error("write", error) from error

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            make_directory(self._path.parent)
            return os.open(self._path, flags, 0o600)

    def _error(self, doing: str, error: OSError) -> StateError:
        return StateError(f"cannot {doing} {self._path}: {error.strerror or error}")


def _lock(fd: int) -> None:
    until_s: float | None = None
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            now_s = time.monotonic()
            until_s = until_s or now_s + LOCK_S
            if now_s >= until_s:
                raise
            time.sleep(0.0005)


class RemoteBook:
    """An object of a store, changed by compare-and-set, and touched rarely.

    Per process: one conditional read each `look_every_s`; a read and a write for each pause that nobody knew of, for what the
    vendor told each `tell_every_s`, and, under declared limits only, for each 4 to 64 places (as many as fit into `ahead_ms`).
    """

    is_near = False
    look_every_s = 30.0
    tell_every_s = 300.0
    ahead_ms = 5_000.0
    least_per_ms = 30_000

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._known: Stored | None = None

    def read(self) -> bytes:
        if self._known is None:
            self._known = self._store.read(self._key)
        else:
            found = self._store.read_changed(self._key, self._known.version)
            self._known = self._known if found is UNCHANGED else found
        return b"" if self._known is None else self._known.data[:MOST_BYTES]

    def update(self, change: Callable[[bytes], bytes]) -> None:
        for _ in attempts(self._store.describe(self._key), tries=TRIES):
            before = self.read()
            after = change(before)
            if after == before:
                return
            version = None if self._known is None else self._known.version
            try:
                version = self._store.write(self._key, after, expected=version)
            except WriteConflict:
                continue
            self._known = Stored(after, version)
            return
