"""Leases of machines that are paused, die and begin again: nobody writes after a later holder did."""

from __future__ import annotations

import random

import pytest

from flicker_dagster.errors import LeaseLost, StateError
from flicker_dagster.state.leases import Lease
from flicker_dagster_tests.simulation.bucket import Bucket, SimStore
from flicker_dagster_tests.state.lease_world import Clock


class Actor:
    """A machine that takes the lease, writes behind it, is paused, dies, and begins again. Its wall clock is wrong by up to a
    day and its own runs up to a tenth too slow or too fast."""

    def __init__(self, play: Play, number: int) -> None:
        chance = play.chance
        self.play = play
        self.clock = Clock(
            play.time, rate=chance.uniform(0.92, 1.08), skew_s=chance.choice([0, 0, chance.uniform(-86_400, 86_400)])
        )
        self.store = SimStore(play.bucket, "", play.meanwhile, play.fault)
        self.number = number
        self.busy = False
        self.lease: Lease | None = None

    def step(self) -> None:
        if self.busy:
            return
        self.busy = True
        try:
            self._step()
        except LeaseLost:
            self.lease = None
        except StateError:
            pass
        finally:
            self.busy = False

    def _step(self) -> None:
        chance = self.play.chance
        if self.lease is None:
            clock = self.clock
            lease = Lease(self.store, "okta", clock=clock.now, elapsed=clock.elapsed, sleep=self._sleep)
            lease.take(wait_s=chance.choice([0, 0, 30]))
            self.lease = lease
            return
        what = chance.choice(["write", "write", "write", "renew", "give back", "die"])
        if what == "write":
            self.lease.assure()
            self.play.written.append(self.lease.fence)
        elif what == "renew":
            self.lease.renew()
        else:
            if what == "give back":
                self.lease.give_back()
            self.lease = None

    def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.play.meanwhile("")


class Play:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.time = [1_790_000_000.0]
        self.bucket = Bucket()
        self.written: list[int] = []
        self.actors = [Actor(self, number) for number in range(self.chance.randint(2, 4))]

    def meanwhile(self, _: str) -> None:
        """Time passes, and others go on, before any request and after it."""
        if self.chance.random() < 0.2:
            self.time[0] += self.chance.choice([1, 10, 30, 55, 65, 200])
        if self.chance.random() < 0.3:
            self.chance.choice(self.actors).step()

    def fault(self) -> str | None:
        return self.chance.choice(["away", "lost", "again"]) if self.chance.random() < 0.1 else None


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_nobody_writes_after_a_later_holder_did(first: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    written = 0
    for seed in range(first, first + 100):
        play = Play(seed)
        for _ in range(60):
            play.chance.choice(play.actors).step()
            play.meanwhile("")
        assert play.written == sorted(play.written), f"seed {seed}"
        written += len(set(play.written))
    assert written > 200  # it went from hand to hand
