"""A lane's journal: what became of each event of a unit's lots, one checked line per answer."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.state.append_only import AppendOnlyFile
from flicker_dagster.types import Settled


class KeptReceipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A receipt, and when it was given."""

    token: str
    ask_after_s: float
    expires_s: float
    at_ms: int
    status: str = ""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: something about events of one lot. `spans` are their places, all of the lot where there are none.

    Exactly one of the others is there: what became of the events; that the lot is sent in parts, cut before this place; the
    receipt they were taken under; that this receipt expired; that they go in this part or not at all.
    """

    seq: int
    lot_id: str
    spans: list[tuple[int, int]] = []
    settled: Settled | None = None
    cut: int | None = None
    receipt: KeptReceipt | None = None
    expired: bool = False
    whole: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


#: Room kept free behind the last line, for the answers of every request that may be on its way; and by how much
#: the file grows at once for it.
ROOM_BYTES = 32 * 1024
GROWTH_BYTES = 128 * 1024

_ZEROS = bytes(4096)


class Journal:
    """Lines of CRC-32, space and JSON. An unfinished last line is what a crash left, and does not count; zeros at the
    end are room for lines to come."""

    def __init__(self, path: Path) -> None:
        self.file = AppendOnlyFile(path)
        self.end = 0
        self._room_end = 0

    def load(self) -> list[Entry]:
        """All entries, in the order they came. Raises StateError if a line before the last is damaged."""
        data = _without_room(self.file.read(0, self.file.size()))
        entries: list[Entry] = []
        at = 0
        while at < len(data):
            line_end = data.find(b"\n", at)
            if line_end < 0:
                break
            entry = _parsed(data[at:line_end])
            if entry is None:
                if line_end + 1 == len(data):
                    break
                raise StateError(
                    f"{self.file.path} is damaged at byte {at}: a line's checksum does not fit. Move its directory "
                    "away; what waited in it is collected again from the registry's position"
                )
            entries.append(entry)
            at = line_end + 1
        self.end = at
        return entries

    def make_room(self) -> None:
        """Take the space that the next entries need, before their events are sent: what the destination has stored and the
        journal could not write down would be sent again. Raises SpoolFull, StateError."""
        if self._room_end - self.end < ROOM_BYTES:
            self.file.append(bytes(GROWTH_BYTES), at=self.end)
            self._room_end = self.end + GROWTH_BYTES

    def append(self, entries: list[Entry], *, durable: bool) -> None:
        """Add a line each, in one write. Raises SpoolFull, StateError."""
        lines = b"".join(map(_line, entries))
        self.file.append(lines, at=self.end)
        self.end += len(lines)
        if durable:
            self.file.sync(at=self.end)


def _without_room(data: bytes) -> bytes:
    """Without the zeros at the end: in blocks, since a strip looks at one byte at a time."""
    end = len(data)
    while data[end - len(_ZEROS) : end] == _ZEROS:
        end -= len(_ZEROS)
    return data[:end].rstrip(b"\0")


def _line(entry: Entry) -> bytes:
    text = _encode(entry)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> Entry | None:
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None
