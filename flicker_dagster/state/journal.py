"""The spool's journal: which batches the SIEM has acknowledged, one checked line each."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.state.append_only import AppendOnlyFile
from flicker_dagster.types import Ack

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ack).decode


#: Room kept free behind the last line, for the acknowledgements of every batch that may be on its way; and by how much
#: the file grows at once for it.
ROOM_BYTES = 32 * 1024
GROWTH_BYTES = 128 * 1024


class Journal:
    """Lines of CRC-32, space and JSON. An unfinished last line is what a crash left, and does not count; zeros at the
    end are room for lines to come."""

    def __init__(self, path: Path) -> None:
        self.file = AppendOnlyFile(path)
        self.end = 0
        self._room_end = 0

    def load(self) -> list[Ack]:
        """All acknowledgements, in the order they came. Raises StateError if a line before the last is damaged."""
        data = self.file.read(0, self.file.size()).rstrip(b"\0")
        acks: list[Ack] = []
        at = 0
        while at < len(data):
            line_end = data.find(b"\n", at)
            if line_end < 0:
                break
            ack = _parsed(data[at:line_end])
            if ack is None:
                if line_end + 1 == len(data):
                    break
                raise StateError(
                    f"{self.file.path} is damaged at byte {at}: a line's checksum does not fit. Move its directory "
                    "away; what waited in it is collected again from the registry's position"
                )
            acks.append(ack)
            at = line_end + 1
        self.end = at
        return acks

    def make_room(self) -> None:
        """Take the space that the next acknowledgements need, before their batches are sent: what the SIEM has stored
        and the journal could not write down would be sent again. Raises SpoolFull, StateError."""
        if self._room_end - self.end < ROOM_BYTES:
            self.file.append(bytes(GROWTH_BYTES), at=self.end)
            self._room_end = self.end + GROWTH_BYTES

    def append(self, acks: list[Ack], *, durable: bool) -> None:
        """Add a line each, in one write. Raises SpoolFull, StateError."""
        lines = b"".join(map(_line, acks))
        self.file.append(lines, at=self.end)
        self.end += len(lines)
        if durable:
            self.file.sync(at=self.end)


def _line(ack: Ack) -> bytes:
    text = _encode(ack)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> Ack | None:
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None
