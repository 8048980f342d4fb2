"""Events of OCSF that fit their columns as they are, read without becoming Python's own objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from flicker_dagster.deliver.encoders.arrow import pyarrow
from flicker_dagster.deliver.encoders.ocsf.rows import UNMAPPED


class _Spare(msgspec.Struct, gc=False):
    """What an event has outside the columns, which our own documents have at their end."""

    unmapped: msgspec.Raw = msgspec.Raw(b"")


_spare = msgspec.json.Decoder(_Spare)


def table_of(events: Sequence[bytes], times_ms: Sequence[int], schema: Any) -> Any | None:
    """The rows of the events with these times, as `rows.row_of` makes them; None where an event has anything that its column
    does not hold: then each has to be looked at by itself."""
    pa = pyarrow()

    try:
        apart = [_apart(event) for event in events]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    lines = b"\n".join(line for line, _ in apart)
    if b"[null" in lines or b",null" in lines:  # which a list of ours leaves out
        return None
    read = pa.schema([field.with_nullable(True) for field in schema if field.name != UNMAPPED])
    try:
        found = pa.json.read_json(
            pa.BufferReader(lines),
            read_options=pa.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pa.json.ParseOptions(explicit_schema=read, unexpected_field_behavior="error"),
        )
    except pa.ArrowException:
        return None
    if found.num_rows != len(events):
        return None
    own = {"time": pa.array(times_ms, pa.int64()), UNMAPPED: pa.array([spare for _, spare in apart], pa.string())}
    columns = [own[field.name] if field.name in own else found.column(field.name) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _apart(event: bytes) -> tuple[bytes, str | None]:
    """An event without `unmapped`, and that as text. Raises ValueError where it does not stand at the end."""
    spare = bytes(_spare.decode(event).unmapped)
    if not spare:
        return event, None
    end = b',"%b":%b}' % (UNMAPPED.encode(), spare)
    if spare[:1] != b"{" or not event.endswith(end):
        raise ValueError("its unmapped attributes stand elsewhere")
    return event[: -len(end)] + b"}", spare.decode() if spare != b"{}" else None
