"""Units of the spool as earlier versions wrote them (batches in one destination's format), taken over as lots.

A batch file's frame is: magic, three lengths, a CRC-32 over lengths and header, CRC-32s of digests and body, then header
(JSON), digests (16 bytes each, by shard), body (gzip, as it went to the destination). A journal's line is CRC-32, space and
JSON, one for each batch that was acknowledged.
"""

from __future__ import annotations

import logging
import struct
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from isal import igzip
from isal.isal_zlib import crc32

from flicker_dagster.errors import StateError
from flicker_dagster.json_items import items
from flicker_dagster.json_scan import members
from flicker_dagster.lots import lot_id_of
from flicker_dagster.state.digests import SIZE, split
from flicker_dagster.state.journal import Entry, Journal
from flicker_dagster.state.lot_frames import FrameFile
from flicker_dagster.state.unit_file import UnitFile, write_unit_file
from flicker_dagster.types import NO_TIME, FrozenLot, Settled

log = logging.getLogger("flicker.state")

TimeOf = Callable[[bytes], "int | None"]

_PREFIX = struct.Struct("<4s6I")
_MAGIC = b"FLB1"


class _Head(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    batch_id: str
    count: int
    content_type: str
    body_bytes: int
    first_ms: int | None
    last_ms: int | None
    at_ms: int
    windows: list[tuple[str, int]]


class _Acknowledged(msgspec.Struct):
    seq: int
    delivered: int = 0
    duplicate: int = 0
    dead: int = 0
    status: str = ""
    attempts: int = 1


class OldBatch(NamedTuple):
    """A batch, and what became of it; None while it waits."""

    head: _Head
    digests: bytes
    body: bytes
    settled: Settled | None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_ack = msgspec.json.Decoder(_Acknowledged).decode


def read_batches(directory: Path, content: UnitFile) -> list[OldBatch]:
    """Every batch of a unit. What a crash left behind the last whole one does not count. Raises StateError."""
    acknowledged = _acknowledged(directory / f"journal.{content.generation}")
    path = directory / f"batches.{content.generation}"
    data = _bytes_of(path)
    found: list[OldBatch] = []
    at = 0
    while at < len(data):
        batch = _batch_at(data, at)
        if batch is None:
            if at < content.synced_bytes <= len(data):
                raise StateError(
                    f"{path} is damaged at byte {at}. Move its directory away; what waited is collected again"
                )
            break
        head, digests, body, at = batch
        found.append(OldBatch(head, digests, body, acknowledged.get(head.seq)))
    return found


def upgrade(directory: Path, content: UnitFile, *, source: str, time_of: TimeOf | None) -> None:
    """Write a unit anew as lots with the unnamed lane's journal. Killed in between, it is done again. Raises StateError."""
    batches = read_batches(directory, content)
    generation = content.generation + 1
    for name in (f"lots.{generation}", f"journal.{generation}"):
        (directory / name).unlink(missing_ok=True)
    frames = FrameFile(directory / f"lots.{generation}", first_seq=0, trusted_bytes=0)
    journal = Journal(directory / f"journal.{generation}")
    try:
        for seq, batch in enumerate(batches):
            frames.append([_lot_of(batch, seq, source, time_of)], at_ms=batch.head.at_ms)
        if batches:
            frames.file.sync(at=frames.end)
        entries = [
            Entry(seq, frames.head(seq).lot_id, settled=batch.settled)
            for seq, batch in enumerate(batches)
            if batch.settled is not None
        ]
        if entries:
            journal.append(entries, durable=True)
    finally:
        frames.file.close()
        journal.file.close()
    state = content.state
    if state is not None and sum(_size(batch) for batch in batches) < content.committed_bytes:
        state = state.begun_again()
    write_unit_file(
        directory,
        UnitFile(generation=generation, committed_bytes=frames.end, synced_bytes=frames.end, state=state),
        durable=True,
    )
    log.info("%s: %d batches of an earlier version were taken over", directory, len(batches))


def _lot_of(batch: OldBatch, seq: int, source: str, time_of: TimeOf | None) -> FrozenLot:
    events = _events_of(batch)
    times = [None if time_of is None else time_of(event) for event in events]
    text = b"[%b]" % b",".join(events)
    shards: dict[str, bytes] = {}
    at = 0
    for shard, count in batch.head.windows:
        shards[shard] = batch.digests[at : at + count * SIZE]
        at += count * SIZE
    return FrozenLot(
        seq=seq,
        lot_id=lot_id_of(source, batch.digests),
        source=source,
        count=len(events),
        array=igzip.compress(text, 1, mtime=0),
        array_bytes=len(text),
        digests=shards,
        lengths=array("I", map(len, events)).tobytes(),
        times_ms=array("q", [NO_TIME if ms is None else ms for ms in times]).tobytes(),
        collected_ms=batch.head.at_ms,
    )


def _events_of(batch: OldBatch) -> list[bytes]:
    """The vendor's bytes in a body, whichever format it has. Raises StateError where they are not as many as ids."""
    body, count = igzip.decompress(batch.body), batch.head.count
    if batch.head.content_type == "application/x-ndjson":
        records = [body[:-1]] if count == 1 else body.split(b"\n")[:-1]
    elif count == 1:
        records = [body[1:-1]]
    else:
        records = [body[start:end] for start, end, _ in items(body, 0, b"", most=len(body))[0]]
    if len(records) != count:
        raise StateError(
            f"batch {batch.head.batch_id} of the spool holds {len(records)} events where {count} were expected. Move its "
            "directory away; what waited in it is collected again"
        )
    ids = [digest.hex().encode() for digest in split(batch.digests)]
    return [_unwrapped(record, id_) for record, id_ in zip(records, ids, strict=True)]


def _unwrapped(record: bytes, id_: bytes) -> bytes:
    """The event inside of an envelope of ours, which begins with the event's own id; any other record is the event."""
    if not record.startswith(b'{"id":"%b","time":"' % id_):
        return record
    start = next((start for name, start, _ in members(record) if name == "event"), None)
    return record if start is None else record[start:-1]


def _batch_at(data: bytes, at: int) -> tuple[_Head, bytes, bytes, int] | None:
    """The batch that begins here, and where the next one does; None where no whole one does."""
    if len(data) - at < _PREFIX.size:
        return None
    magic, head_len, digests_len, body_len, head_crc, digests_crc, body_crc = _PREFIX.unpack_from(data, at)
    head_at = at + _PREFIX.size
    digests_at = head_at + head_len
    body_at = digests_at + digests_len
    end = body_at + body_len
    if magic != _MAGIC or end > len(data):
        return None
    head, digests, body = data[head_at:digests_at], data[digests_at:body_at], data[body_at:end]
    sound = crc32(head, crc32(data[at + 4 : at + 16])) == head_crc
    if not sound or crc32(digests) != digests_crc or crc32(body) != body_crc:
        return None
    return _decode_head(head), digests, body, end


def _acknowledged(path: Path) -> dict[int, Settled]:
    found: dict[int, Settled] = {}
    for line in _bytes_of(path).rstrip(b"\0").split(b"\n"):
        crc, _, text = line.partition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            continue  # an unfinished last line
        ack = _decode_ack(text)
        found[ack.seq] = Settled(ack.delivered, ack.duplicate, ack.dead, status=ack.status, attempts=ack.attempts)
    return found


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def _size(batch: OldBatch) -> int:
    head_len = len(msgspec.json.encode(batch.head))
    return _PREFIX.size + head_len + len(batch.digests) + len(batch.body)
