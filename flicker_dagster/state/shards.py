"""One shard of the ledger as bytes, and its copy on the local disk."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

from flicker_dagster.errors import StateError
from flicker_dagster.state.digests import SIZE
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.stores import Stored

#: magic and version, count of digests, CRC-32 of them: as long as one digest.
_HEADER = struct.Struct("<8sII")
_MAGIC = b"FLKRIDS1"


def encode_shard(blob: bytes) -> bytes:
    """Concatenated digests with a header that betrays truncation and damage."""
    return _HEADER.pack(_MAGIC, len(blob) // SIZE, zlib.crc32(blob)) + blob


def decode_shard(where: str, data: bytes) -> bytes:
    """The digests of a shard. Raises StateError naming `where` if anything of it is missing or damaged."""
    blob = data[_HEADER.size :]
    if len(data) < _HEADER.size:
        raise _damaged(where, f"it holds {len(data)} bytes")
    magic, count, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise _damaged(where, "it does not begin like one")
    if count * SIZE != len(blob):
        raise _damaged(where, f"it should hold {count} ids and holds {len(blob) / SIZE:g}")
    if zlib.crc32(blob) != crc:
        raise _damaged(where, "its checksum does not fit")
    return blob


def _damaged(where: str, why: str) -> StateError:
    return StateError(
        f"{where} is not a whole ledger shard: {why}. Restore an earlier version of it, or remove it: events of "
        "that window may then be delivered a second time"
    )


class ShardCache:
    """Copies of remote shards in a local directory, each with the version it was read at.

    Only ever a shortcut: a copy that is missing, damaged or older than the shard is read again from the store.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: str) -> Stored | None:
        try:
            data = self._path(key).read_bytes()
        except OSError:
            return None
        head, _, body = data.partition(b"\n")
        crc, _, version = head.partition(b" ")
        if not version or f"{zlib.crc32(version + body):08x}".encode() != crc:
            return None
        return Stored(body, version.decode())

    def put(self, key: str, stored: Stored) -> None:
        version = stored.version.encode()
        head = f"{zlib.crc32(version + stored.data):08x} ".encode() + version + b"\n"
        try:
            make_directory(self._directory)
            replace_file(self._path(key), head + stored.data, durable=False)
        except OSError:
            self.drop(key)  # no room for a copy: the shard is downloaded each time

    def drop(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"cannot remove {self._path(key)}: {error.strerror}; check its permissions") from error

    def _path(self, key: str) -> Path:
        return self._directory / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
