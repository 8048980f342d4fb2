"""Objects of list-then-fetch sources that were fetched: beside the spool, since what was fetched is there or was delivered.

The file is lost with the spool and with nothing else: then the objects are fetched again from the position, and their
events are known by their ids.
"""

from __future__ import annotations

import os
from pathlib import Path

from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.types import Remembered

FILE = ".objects"

#: Where the file has more lines, those whose objects nobody lists any more are left out.
CLEANED_LINES = 20_000


class FetchedObjects:
    """The objects of one stream, in `<directory>/.objects`: one line each of digest, time of availability, events, sum of
    their digests. `shape` names the configuration under which they were fetched; of another one nothing is remembered."""

    def __init__(self, directory: Path, shape: str, *, keep_since_ms: int) -> None:
        self._path = directory / FILE
        self._shape = shape
        self._keep_since_ms = keep_since_ms
        self._known: dict[bytes, Remembered] | None = None

    def get(self, digest: bytes) -> Remembered | None:
        return self._read().get(digest)

    def add(self, digest: bytes, at_ms: int, remembered: Remembered) -> None:
        """Remember an object whose events are on the disk. Raises OSError."""
        known = self._read()
        line = f"{digest.hex()} {at_ms} {remembered.events} {remembered.ids_sum}\n".encode()
        make_directory(self._path.parent)
        head = b"" if self._path.exists() else f"{self._shape}\n".encode()
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, head + line)
            os.fsync(fd)
        finally:
            os.close(fd)
        known[digest] = remembered

    def _read(self) -> dict[bytes, Remembered]:
        if self._known is not None:
            return self._known
        self._known = {}
        try:
            lines = self._path.read_bytes().split(b"\n")
        except OSError:
            return self._known
        if lines[0].decode("utf-8", "replace") != self._shape:
            self._path.unlink(missing_ok=True)
            return self._known
        kept: list[bytes] = []
        for line in lines[1:-1]:  # what was cut off by a crash has no line break
            parts = line.split()
            if len(parts) != 4 or not parts[1].isdigit() or not parts[2].isdigit():
                continue
            if int(parts[1]) < self._keep_since_ms:
                continue
            kept.append(line)
            self._known[bytes.fromhex(parts[0].decode())] = Remembered(int(parts[2]), parts[3].decode())
        torn = lines[-1] != b""
        if torn or len(lines) > CLEANED_LINES:
            replace_file(self._path, b"\n".join([self._shape.encode(), *kept, b""]), durable=True)
        return self._known
