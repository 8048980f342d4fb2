"""Units of the spool as versions before lots wrote them: batches in a destination's format, one acknowledgement each."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from isal import igzip
from isal.isal_zlib import crc32

from flicker_dagster.state.unit_file import UnitState
from flicker_dagster_tests.state.builders import T0_MS, digest, state

TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "envelope": "application/json"}


def body_of(
    form: str, events: Sequence[bytes], names: Sequence[str], *, time: str = "2025-12-17T15:00:00.000Z"
) -> bytes:
    if form == "ndjson":
        return b"".join(event + b"\n" for event in events)
    records = list(events)
    if form == "envelope":
        records = [
            b'{"id":"%b","time":"%b","source":"okta","message":"hi","event":%b}'
            % (digest(name).hex().encode(), time.encode(), event)
            for name, event in zip(names, events, strict=True)
        ]
    return b"[%b]" % b",".join(records)


def frame_of(seq: int, form: str, shards: dict[str, dict[str, bytes]]) -> bytes:
    """One batch; `shards` hold events by their ids' names."""
    events = {name: event for each in shards.values() for name, event in each.items()}
    body = body_of(form, list(events.values()), list(events))
    packed = igzip.compress(body, 1, mtime=0)
    counts = [(shard, len(each)) for shard, each in shards.items()]
    digests = b"".join(map(digest, events))
    head = msgspec.json.encode(
        (seq, f"batch-{seq}", len(events), TYPES[form], len(body), None, None, T0_MS + seq, counts)
    )
    lengths = struct.pack("<3I", len(head), len(digests), len(packed))
    crcs = struct.pack("<3I", crc32(head, crc32(lengths)), crc32(digests), crc32(packed))
    return b"".join((b"FLB1", lengths, crcs, head, digests, packed))


def line_of(seq: int, **counts: int) -> bytes:
    """The acknowledgement of a batch, as the journal held it."""
    ack = {"seq": seq, "batch_id": f"batch-{seq}", "status": "HTTP 200 OK", **counts}
    text = msgspec.json.encode(ack)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def write_old_unit(
    directory: Path,
    frames: Sequence[bytes],
    lines: Sequence[bytes] = (),
    *,
    generation: int = 3,
    first_seq: int = 7,
    torn: bytes = b"",
    unit_state: UnitState | None = None,
) -> None:
    """`torn` stands behind the last whole batch, as a crash leaves it."""
    directory.mkdir(parents=True)
    (directory / f"batches.{generation}").write_bytes(b"".join(frames) + torn)
    if lines:
        (directory / f"journal.{generation}").write_bytes(b"".join(lines) + bytes(1024))
    size = sum(map(len, frames))
    content = {
        "version": 1,
        "generation": generation,
        "first_seq": first_seq,
        "committed_bytes": size,
        "synced_bytes": size,
        "state": unit_state or state(1, 5),
    }
    (directory / "unit.json").write_bytes(msgspec.json.encode(content))
