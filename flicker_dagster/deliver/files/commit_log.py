"""Beside a file of lines: where its last whole request ends, and which requests it holds.

One line per step, each with a checksum, each synced before the next one begins. So only the last line can be torn, and
what it stands for then has not happened. The newest line says how things stand; the older ones answer whether a request
has been written before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from flicker_dagster.deliver.files.disk import create, read_at, sync_directory, write_at
from flicker_dagster.lots import Spans

#: The log is cut to its newer half beyond this: about 60,000 requests.
MOST_BYTES = 8 * 1024 * 1024


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """How things stood after a step. `file` numbers the files that had the active name, `inode` and `began_ms` are of the
    one that has it; `end` are its bytes that count, `tail` the digest of the last of them.

    `lot` and `spans` are of the request that was written by this step; `rotated` is the name that the file gets next.
    """

    file: int
    inode: int
    began_ms: int
    end: int
    tail: str = ""
    lot: str = ""
    spans: Spans = []
    rotated: str = ""


class CommitLog:
    """The entries of one file's log. Only to be used under the file's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._text = bytearray()  # whole, valid lines
        self.last: Entry | None = None
        #: More than its last line cannot be read: what it said before is not known.
        self.damaged = False

    def refresh(self) -> None:
        """Read what others have written since."""
        if self._fd is not None and not self._is_current(self._fd):
            self.forget()
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                self._fd = create(self.path, mode=0o600)
            os.fsync(self._fd)  # what a dying process wrote may not have reached the disk; we shall rely on it
        size = os.fstat(self._fd).st_size
        if size > len(self._text):
            self._take(read_at(self._fd, size - len(self._text), len(self._text)))

    def append(self, entry: Entry) -> None:
        """Add an entry that lasts. After an OSError it may or may not count: `forget` and look again."""
        assert self._fd is not None
        if os.fstat(self._fd).st_size > len(self._text):
            os.ftruncate(self._fd, len(self._text))  # a torn line
        line = _line_of(entry)
        write_at(self._fd, line, len(self._text))
        os.fsync(self._fd)
        self._text += line
        self.last = entry
        if len(self._text) > MOST_BYTES:
            self._shorten()

    def entries_of(self, lot: str) -> Iterator[Entry]:
        """The requests of a lot that are remembered."""
        return self._having(b'"lot":"%b"' % lot.encode())

    def rotated_name(self, file: int) -> str | None:
        """The name that a file was given, or None: it has the active name, or somebody else took it away."""
        entries = self._having(b'"rotated":"')
        return next((entry.rotated for entry in entries if entry.file == file), None)

    def begin_anew(self) -> None:
        """Leave what cannot be read."""
        self._replace(b"")
        self.damaged = False

    def forget(self) -> None:
        """Read it all again when it is next asked for."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self.last, self.damaged = None, None, False
        self._text.clear()

    # -- inside

    def _is_current(self, fd: int) -> bool:
        """Is it the file that has the log's name? Ours is held open, so that no other can have its number."""
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False
        ours = os.fstat(fd)
        return named.st_ino == ours.st_ino and named.st_dev == ours.st_dev and ours.st_size >= len(self._text)

    def _take(self, text: bytes) -> None:
        *lines, _torn = text.split(b"\n")
        if not lines:
            return
        last = _entry_of(lines[-1])
        if last is None:  # a hole where the last line was to be
            lines.pop()
            last = _entry_of(lines[-1]) if lines else self.last
            if last is None and (lines or self._text):
                self.damaged = True
                self.last = None
                return
        self.last = last
        for line in lines:
            self._text += line
            self._text += b"\n"

    def _having(self, mark: bytes) -> Iterator[Entry]:
        at = self._text.find(mark)
        while at >= 0:
            start, stop = self._text.rfind(b"\n", 0, at) + 1, self._text.find(b"\n", at)
            entry = _entry_of(bytes(self._text[start:stop]))
            if entry is not None:
                yield entry
            at = self._text.find(mark, stop)

    def _shorten(self) -> None:
        cut = self._text.find(b"\n", len(self._text) - MOST_BYTES // 2) + 1
        self._replace(bytes(self._text[cut:]))

    def _replace(self, text: bytes) -> None:
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        if os.path.lexists(temporary):  # of a process that died here
            os.unlink(temporary)
        fd = create(temporary, mode=0o600)
        try:
            write_at(fd, text, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, self.path)
        sync_directory(self.path.parent)
        self.forget()
        self.refresh()


_encode: Callable[[Entry], bytes] = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def _line_of(entry: Entry) -> bytes:
    text = _encode(entry)
    return b"%08x %b\n" % (crc32(text), text)


def _entry_of(line: bytes) -> Entry | None:
    checksum, _, text = line.partition(b" ")
    try:
        return _decode(text) if checksum == b"%08x" % crc32(text) else None
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
