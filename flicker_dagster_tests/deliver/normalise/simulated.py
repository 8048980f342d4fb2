"""Events as the simulator's dialects of the normalised vendors emit them."""

from __future__ import annotations

import random
from functools import cache
from typing import NamedTuple

from flicker_dagster.deliver.normalise.tables import vendors
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster_tests.deliver.normalise.events import TIME_MS


class Emitted(NamedTuple):
    vendor: str
    stream: str
    event: bytes


@cache
def simulated(count: int = 24) -> list[Emitted]:
    """`count` events of every stream."""
    made = []
    for name in sorted(vendors()):
        kind = dialect(name)
        vendor = kind(rate=0)
        chance = random.Random(7)
        made += [
            Emitted(name, stream, vendor.make(stream, number, TIME_MS + number, chance)[1])
            for stream in kind.streams
            for number in range(count)
        ]
        vendor.close()
    return made
