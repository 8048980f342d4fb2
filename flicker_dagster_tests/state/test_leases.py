"""Leases: one holder at a time, whatever clocks, pauses and lost answers do; a dead one's ends by itself."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from flicker_dagster.errors import LeaseLost, SourceBusy, StateError, StoreAway
from flicker_dagster.state.exclusive import Clocks, exclusive_run
from flicker_dagster.state.fencing import Fence, FencedStore
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.leases import TRUSTED_S, TTL_S, Holder, Lease, Renewal, lease_key
from flicker_dagster.state.leftovers import forget
from flicker_dagster.state.s3 import S3Store
from flicker_dagster.state.stores import ANYTHING, Store
from flicker_dagster_tests.simulation.bucket import Bucket, SimStore
from flicker_dagster_tests.state.object_store import object_store

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


@pytest.fixture
def world() -> World:
    return World()


def test_one_holds_it_and_the_other_is_told_who_and_until_when(world: World) -> None:
    world.taken()
    with pytest.raises(SourceBusy, match=rf"okta: another run is at work \(process {os.getpid()} on .*until 2026-.*Z"):
        world.lease().take()


def test_what_was_given_back_is_taken_at_once_under_a_higher_fence(world: World) -> None:
    first = world.taken()
    first.give_back()
    second = world.taken()
    assert second.fence == first.fence + 1
    with pytest.raises(LeaseLost):
        first.assure()


def test_it_costs_one_read_and_two_writes(world: World) -> None:
    lease = world.taken()
    for _ in range(100):
        lease.assure()
    lease.give_back()
    assert [line for line in world.asked if not line.startswith("answered")] == [
        f"read {KEY}", f"write {KEY}", f"write {KEY}",
    ]  # fmt: skip


def test_one_that_is_not_heard_of_is_waited_out(world: World) -> None:
    world.taken()
    began_s = world.clock.now()
    second = world.lease()
    second.take(wait_s=30)
    assert TTL_S <= world.clock.now() - began_s <= TTL_S + 2
    assert second.fence == 2


def test_a_living_one_is_waited_for_no_longer_than_was_said(world: World) -> None:
    first = world.taken()
    waiting = Clock(world.clock.time)

    def sleep(seconds: float) -> None:
        world.clock.time[0] += seconds
        first.renew()

    with pytest.raises(SourceBusy):
        Lease(world.store(), "okta", clock=waiting.now, elapsed=waiting.elapsed, sleep=sleep).take(wait_s=30)
    assert 30 <= world.clock.now() - 1_790_000_000 <= 31


@pytest.mark.parametrize("skew_s", [-86_400, -90, 90, 86_400], ids=["a day behind", "behind", "ahead", "a day ahead"])
def test_clocks_that_disagree_neither_take_it_from_a_living_one_nor_wait_for_ever(world: World, skew_s: float) -> None:
    first = world.taken()
    waiting = world.lease(clock=Clock(world.clock.time, skew_s=skew_s))
    waiting.take()
    assert world.clock.now() - 1_790_000_000 >= TTL_S
    with pytest.raises(LeaseLost, match="lost its lease: it went to process"):
        first.assure()


def test_without_a_wait_a_dead_one_is_taken_over_once_its_time_is_over(world: World) -> None:
    world.taken()
    with pytest.raises(SourceBusy):
        world.lease().take()
    world.clock.sleep(TTL_S)
    world.lease().take()
    assert world.written().fence == 2


def test_who_holds_the_same_lock_need_not_wait(world: World) -> None:
    world.taken(lock="boot/1/2")
    began_s = world.clock.now()
    world.taken(lock="boot/1/2")
    assert world.clock.now() == began_s
    with pytest.raises(SourceBusy):
        world.taken(lock="boot/1/3")


def test_it_is_renewed_where_a_write_finds_it_old(world: World) -> None:
    lease = world.taken()
    world.clock.sleep(TRUSTED_S + 100)
    lease.assure()  # nobody took it meanwhile
    with pytest.raises(SourceBusy):
        world.lease().take()


def test_a_store_that_cannot_be_asked_makes_an_old_lease_unsure_and_not_lost(world: World) -> None:
    lease = world.taken()
    world.faults = ["away"]
    lease.assure()
    world.clock.sleep(TRUSTED_S)
    with pytest.raises(StateError, match="away"):
        lease.assure()
    lease.assure()


@pytest.mark.parametrize("fault", ["again", "lost"])
def test_an_answer_that_got_lost_takes_nothing_from_the_holder(world: World, fault: str) -> None:
    lease = world.taken()
    world.clock.sleep(TRUSTED_S)
    world.faults = [fault]
    try:
        lease.assure()
    except StateError:
        lease.assure()
    lease.give_back()
    assert world.written().until_ms is None


def test_taking_it_survives_an_answer_that_the_sdk_asked_for_again(world: World) -> None:
    world.faults = [None, "again"]
    world.taken().give_back()


def test_an_answer_that_takes_longer_than_the_lease_is_worth_nothing(world: World) -> None:
    class Slow(SimStore):
        def write(self, *given, **more):  # type: ignore[no-untyped-def]
            version = super().write(*given, **more)
            world.clock.sleep(TTL_S)
            return version

    lease = world.taken(store=Slow(world.bucket, "", lambda _: None, lambda: None))
    with pytest.raises(StoreAway, match="longer than 50 s"):
        lease.assure()


def test_a_damaged_one_belongs_to_somebody_unknown_and_ends_like_any_other(world: World) -> None:
    world.store().write(KEY, b"\x00", expected=None)
    world.lease().take(wait_s=30)
    assert world.written().fence == 1


def test_one_of_a_newer_version_is_refused(world: World) -> None:
    world.store().write(KEY, b'{"fence":1,"id":"x","host":"h","process":1,"since_ms":1,"version":2}', expected=None)
    with pytest.raises(StateError, match="version 2, written by a newer Flicker"):
        world.lease().take()


def test_behind_a_lost_lease_nothing_is_written_until_another_one_is_taken(world: World) -> None:
    fence = Fence()
    store = FencedStore(world.store(), fence)
    store.write("rewinds/okta.json", b"by hand", expected=ANYTHING)  # an order needs no lease
    lease = world.taken()
    with fence.behind(lease):
        store.write("registry.json", b"1", expected=ANYTHING)
        world.lease().take(wait_s=30)
        with pytest.raises(LeaseLost):
            store.write("registry.json", b"2", expected=ANYTHING)
    with pytest.raises(LeaseLost):
        store.delete("registry.json")
    assert world.bucket.objects["registry.json"].data == b"1"
    assert store.read("registry.json") is not None
    world.clock.sleep(TTL_S)
    again = world.taken()
    with fence.behind(again):
        store.delete("registry.json")


def test_the_thread_renews_it_until_it_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flicker_dagster.state.leases.RENEWED_EVERY_S", 0.001)
    lease = world.taken()
    world.faults = ["away"]
    monkeypatch.setattr("flicker_dagster.state.leases.RENEWED_AGAIN_S", 0.001)
    renewal = Renewal(lease, "okta")
    while world.bucket.writes < 4:
        os.sched_yield()
    renewal.end()
    writes = world.bucket.writes
    lease.give_back()
    assert world.bucket.writes == writes + 1


# -- mutual exclusion, whatever happens


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


# -- with real locks, processes and servers


def _layout(store: Store, work: Path) -> StateLayout:
    return StateLayout(store, "registry.json", store, work)


def _held(layout: StateLayout, world: World, fence: Fence | None = None):  # type: ignore[no-untyped-def]
    clocks = Clocks(world.clock.now, world.clock.elapsed, world.clock.sleep)
    return exclusive_run(layout, layout.spool("okta"), fence=fence or Fence(), clocks=clocks)


def test_two_machines_on_one_remote_state_are_one_at_a_time(world: World, tmp_path: Path) -> None:
    a, b = (_layout(world.store(), tmp_path / name) for name in "ab")
    with _held(a, world), pytest.raises(SourceBusy, match="until 2026"), _held(b, world):
        pass
    with _held(b, world):
        pass


def test_two_work_directories_on_one_local_state_are_one_at_a_time(tmp_path: Path) -> None:
    a, b = (StateLayout.of(None, tmp_path / "state", tmp_path / name) for name in "ab")
    with exclusive_run(a, a.spool("okta"), fence=Fence()):
        with pytest.raises(SourceBusy, match="another run is at work"):
            exclusive_run(b, b.spool("okta"), fence=Fence()).__enter__()
        with exclusive_run(b, b.spool("github"), fence=Fence()):
            pass
    with exclusive_run(b, b.spool("okta"), fence=Fence()):
        pass
    assert list(a.store.list("")) == []


def _s3_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in {
        "ENDPOINT_URL_S3": url,
        "ACCESS_KEY_ID": "id",
        "SECRET_ACCESS_KEY": "no",
        "REGION": "x",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)


_HOLDER = """
import sys, time
from pathlib import Path
from flicker_dagster.state.exclusive import exclusive_run
from flicker_dagster.state.fencing import Fence
from flicker_dagster.state.layout import StateLayout
layout = StateLayout.of(None, sys.argv[1], sys.argv[2])
with exclusive_run(layout, layout.spool("okta"), fence=Fence()):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("again_in", ["the same work directory", "another one"])
@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_holder_that_was_killed_holds_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, again_in: str
) -> None:
    with object_store() as server:
        _s3_at(monkeypatch, server.url)
        state = str(tmp_path / "state") if kind == "local" else "s3://bucket/flicker"
        work = tmp_path / "a"
        child = subprocess.Popen([sys.executable, "-c", _HOLDER, state, str(work)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        clock = Clock()
        layout = StateLayout.of(None, state, work if again_in == "the same work directory" else tmp_path / "b")
        clocks = Clocks(elapsed=clock.elapsed, sleep=clock.sleep)
        began_s = clock.elapsed()
        with exclusive_run(layout, layout.spool("okta"), fence=Fence(), wait_s=30, clocks=clocks):
            waited_s = clock.elapsed() - began_s
        assert (waited_s >= TTL_S) == (kind == "remote" and again_in == "another one")


def test_an_op_costs_three_requests_of_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with object_store() as server:
        _s3_at(monkeypatch, server.url)
        layout = _layout(S3Store("bucket"), tmp_path)
        with exclusive_run(layout, layout.spool("okta"), fence=Fence()):
            pass
        assert server.asked == [f"{how} /bucket/{KEY}" for how in ("GET", "PUT", "PUT")]


def test_a_stream_that_is_forgotten_has_no_lease_left(world: World, tmp_path: Path) -> None:
    layout = _layout(world.store(), tmp_path)
    with _held(layout, world):
        pass
    assert KEY in world.bucket.objects
    forget(layout, "okta")
    assert not world.bucket.objects
