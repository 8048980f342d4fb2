"""What the events of simulated vendors are made of."""

from __future__ import annotations

import random
import uuid

from flicker_dagster.times import format_time


def a_uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def an_address(chance: random.Random) -> str:
    """One of the network that is kept for documentation (RFC 5737)."""
    return f"203.0.113.{chance.randrange(1, 255)}"


def whole_seconds(ms: int) -> str:
    """A time in UTC without its fraction."""
    return format_time(ms, "%Y-%m-%dT%H:%M:%SZ")
