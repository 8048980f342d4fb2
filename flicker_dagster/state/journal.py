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


class Journal:
    """Lines of CRC-32, space and JSON. An unfinished last line is what a crash left, and does not count."""

    def __init__(self, path: Path) -> None:
        self.file = AppendOnlyFile(path)
        self.end = 0

    def load(self) -> list[Ack]:
        """All acknowledgements, in the order they came. Raises StateError if a line before the last is damaged."""
        data = self.file.read(0, self.file.size())
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
