"""Records that are read from JSON or YAML: what reading them takes is made with the record, never at the first reading.

msgspec 0.22 makes what it knows of a record when the record is first read, and another thread that reads its first one at the
same moment is given it half-made: the process ends with a segmentation fault. Modules are imported by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

Kind = TypeVar("Kind")
Record = TypeVar("Record", bound=msgspec.Struct)


def ready(record: type[Record]) -> type[Record]:
    """A record that any thread may read, by whatever means; also as a decorator of its class, behind those it holds."""
    msgspec.json.Decoder(record)
    return record


def reader(kind: type[Kind]) -> Callable[[bytes], Kind]:
    """Reads JSON as a record (or a list of them). It raises msgspec.DecodeError, UnicodeDecodeError."""
    return msgspec.json.Decoder(kind).decode
