"""Small named builders of what the state floor keeps."""

from __future__ import annotations

import hashlib
from array import array as Column
from collections.abc import Iterable

from isal import igzip

from flicker_dagster.lots import Lot
from flicker_dagster.state.dead_letters import DeadLetter
from flicker_dagster.state.unit_file import UnitState
from flicker_dagster.types import FrozenLot, Position, Settled

T0_MS = 1_766_000_000_000


def digest(name: object) -> bytes:
    return hashlib.blake2b(str(name).encode(), digest_size=16).digest()


def digests(names: Iterable[object]) -> bytes:
    return b"".join(digest(name) for name in names)


def lot(lot_id: str = "b0", events: int = 3, *, shard: str = "2025-12-17T15", array: bytes | None = None) -> FrozenLot:
    """A lot whose events are told by its id; `array` stands in place of their bytes."""
    texts = [b'{"of":"%b","n":%d}' % (lot_id.encode(), n) for n in range(events)]
    text = b"[%b]" % b",".join(texts)
    return FrozenLot(
        seq=-1,
        lot_id=lot_id,
        source="okta",
        count=events,
        array=igzip.compress(text, 1, mtime=0) if array is None else array,
        array_bytes=len(text),
        digests={shard: digests(f"{lot_id}/{i}" for i in range(events))},
        lengths=Column("I", map(len, texts)).tobytes(),
        times_ms=Column("q", [T0_MS + n for n in range(events)]).tobytes(),
        collected_ms=T0_MS,
    )


def settled(of: Lot, *, duplicate: bool = False) -> Settled:
    if duplicate:
        return Settled(duplicate=len(of), status="HTTP 200 OK")
    return Settled(delivered=len(of), status="HTTP 200 OK")


def at(minute: int, cursor: str | None = None) -> Position:
    return Position(f"2025-12-17T15:{minute:02}:00.000Z", cursor)


def state(base: int = 0, frontier: int | None = None, *, complete: bool = False) -> UnitState:
    return UnitState(
        base=at(base), frontier=at(base if frontier is None else frontier), complete=complete, tally={"pages": 1}
    )


def letter(name: str = "e1", *, lot_id: str = "b0", at_ms: int = T0_MS, event: bytes = b'{"id": 1}') -> DeadLetter:
    return DeadLetter(
        event=event,
        reason="field `actor` is not mapped",
        status="HTTP 400 Bad Request",
        lot_id=lot_id,
        digest=digest(name).hex(),
        destination="https://siem.example.com/okta",
        at_ms=at_ms,
        event_time_ms=T0_MS - 1000,
    )
