"""When requests may be sent under declared limits: arithmetic of times, for one process or many that share what it keeps.

Each limit is kept by the generic cell rate algorithm (ITU-T I.371): one time, up to which its budget is spoken for. A quarter
of a budget may be used at once and the rest flows evenly, so that no burst leaves the rest of a day without any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from flicker_dagster.config.rate_limit import RateLimit

#: The part of a budget that may be used at once.
BURST_SHARE = 4

#: Nobody takes a place that is further away. What lies beyond, a machine with a wrong clock wrote: it must not stop the others.
FURTHEST_MS = 900_000.0
CLOCKS_DIFFER_MS = 60_000.0


class Pace(msgspec.Struct, frozen=True):
    """One request each `every_ms`, `burst` of them at once; `key` names the limit that it keeps."""

    key: str
    every_ms: float
    burst: int

    @property
    def per_hour(self) -> float:
        """Requests an hour in the long run."""
        return 3_600_000 / self.every_ms


def usable(requests: int, reserve: float) -> int:
    """What may be used of a budget; one request at least."""
    return max(1, int(requests * (1 - reserve)))


def paces_of(config: RateLimit, *, used_late_ms: float = 0.0, least_per_ms: int = 0) -> list[Pace]:
    """The paces of all declared limits, so that no span of a limit's length ever holds more than its usable part.

    Where places are taken in advance, each may be used up to `used_late_ms` after its time. Limits of spans shorter than
    `least_per_ms` are kept over a span of that length.
    """
    return [_pace(each.requests, each.per_ms, config.reserve, used_late_ms, least_per_ms) for each in config.declared]


def _pace(requests: int, per_ms: int, reserve: float, used_late_ms: float, least_per_ms: int) -> Pace:
    budget, longer = usable(requests, reserve), max(1.0, least_per_ms / per_ms)
    budget = int(budget * longer)
    burst = max(1, budget // BURST_SHARE)
    # At most burst - 1 + ceil(span / every) fall into a span. The odd millisecond is for what is rounded.
    every_ms = (per_ms * longer + used_late_ms + 1) / (budget - burst + 1)
    return Pace(f"{requests}/{per_ms}", every_ms, burst)


def next_place_ms(paces: Sequence[Pace], taken: Mapping[str, float], *, ready_ms: float) -> float:
    """The first time, not before `ready_ms`, at which all limits allow a request. `taken` is what `take` gave."""
    place_ms = ready_ms
    for pace in paces:
        place_ms = max(place_ms, _spoken_for(pace, taken, ready_ms) - (pace.burst - 1) * pace.every_ms)
    return place_ms


def take(paces: Sequence[Pace], taken: Mapping[str, float], *, at_ms: float) -> dict[str, float]:
    """What is taken once a request is sent at `at_ms`. Limits whose budget is whole again need no entry."""
    now = {key: until_ms for key, until_ms in taken.items() if until_ms > at_ms}
    for pace in paces:
        now[pace.key] = max(at_ms, _spoken_for(pace, taken, at_ms)) + pace.every_ms
    return now


def _spoken_for(pace: Pace, taken: Mapping[str, float], now_ms: float) -> float:
    until_ms = taken.get(pace.key, 0.0)
    return until_ms if until_ms <= now_ms + pace.burst * pace.every_ms + FURTHEST_MS + CLOCKS_DIFFER_MS else 0.0
