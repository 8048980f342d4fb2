"""Small named builders of what the state floor keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from flicker_dagster.state.dead_letters import DeadLetter
from flicker_dagster.state.journal import Ack
from flicker_dagster.state.unit_file import UnitState
from flicker_dagster.types import Batch, Position

T0_MS = 1_766_000_000_000


def digest(name: object) -> bytes:
    return hashlib.blake2b(str(name).encode(), digest_size=16).digest()


def digests(names: Iterable[object]) -> bytes:
    return b"".join(digest(name) for name in names)


def batch(batch_id: str = "b0", events: int = 3, *, window: str = "2025-12-17T15", body: bytes | None = None) -> Batch:
    return Batch(
        seq=-1,
        batch_id=batch_id,
        count=events,
        content_type="application/json",
        body=body if body is not None else f"<gzip of {batch_id}>".encode(),
        body_bytes=events * 1000,
        digests={window: digests(f"{batch_id}/{i}" for i in range(events))},
        first_ms=T0_MS,
        last_ms=T0_MS + events,
    )


def ack(of: Batch, *, outcome: str = "delivered") -> Ack:
    return Ack(of.seq, of.batch_id, outcome, delivered=of.count, status="HTTP 200 OK", at_ms=T0_MS)


def at(minute: int, cursor: str | None = None) -> Position:
    return Position(f"2025-12-17T15:{minute:02}:00.000Z", cursor)


def state(base: int = 0, frontier: int | None = None, *, complete: bool = False) -> UnitState:
    return UnitState(
        base=at(base), frontier=at(base if frontier is None else frontier), complete=complete, tally={"pages": 1}
    )


def letter(name: str = "e1", *, batch_id: str = "b0", at_ms: int = T0_MS, event: bytes = b'{"id": 1}') -> DeadLetter:
    return DeadLetter(
        event=event,
        reason="field `actor` is not mapped",
        status="HTTP 400 Bad Request",
        batch_id=batch_id,
        digest=digest(name).hex(),
        destination="https://siem.example.com/okta",
        at_ms=at_ms,
        event_time_ms=T0_MS - 1000,
    )
