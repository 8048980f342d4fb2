"""One bucket, and leases in it whose clocks and whose store's faults a test sets."""

from __future__ import annotations

import msgspec

from flicker_dagster.state.leases import Holder, Lease, lease_key
from flicker_dagster.state.stores import Store
from flicker_dagster_tests.simulation.bucket import Bucket, SimStore

KEY = lease_key("okta")


class Clock:
    """Seconds of a clock that runs `rate` as fast as time and shows `skew_s` more; only sleeping moves time."""

    def __init__(self, time: list[float] | None = None, *, rate: float = 1.0, skew_s: float = 0.0) -> None:
        self.time = [1_790_000_000.0] if time is None else time
        self.rate, self.skew_s = rate, skew_s

    def now(self) -> float:
        return self.time[0] + self.skew_s

    def elapsed(self) -> float:
        return self.time[0] * self.rate

    def sleep(self, seconds: float) -> None:
        self.time[0] += seconds / self.rate


class World:
    """One bucket; `faults` are those of the next requests."""

    def __init__(self) -> None:
        self.bucket = Bucket()
        self.clock = Clock()
        self.faults: list[str | None] = []
        self.asked: list[str] = []

    def store(self) -> SimStore:
        return SimStore(self.bucket, "", self.asked.append, lambda: self.faults.pop(0) if self.faults else None)

    def lease(self, *, clock: Clock | None = None, lock: str | None = None, store: Store | None = None) -> Lease:
        clock = clock or self.clock
        return Lease(
            store or self.store(), "okta", lock=lock, clock=clock.now, elapsed=clock.elapsed, sleep=clock.sleep
        )

    def taken(self, **how: object) -> Lease:
        lease = self.lease(**how)  # type: ignore[arg-type]
        lease.take()
        return lease

    def written(self) -> Holder:
        return msgspec.json.decode(self.bucket.objects[KEY].data, type=Holder)
