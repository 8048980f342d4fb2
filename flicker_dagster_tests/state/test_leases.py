"""Leases: one holder at a time, whatever clocks and lost answers do; a dead one's ends by itself."""

from __future__ import annotations

import os

import pytest

from flicker_dagster.errors import LeaseLost, SourceBusy, StateError, StoreAway
from flicker_dagster.state.fencing import Fence, FencedStore
from flicker_dagster.state.leases import TRUSTED_S, TTL_S, Lease, Renewal
from flicker_dagster.state.stores import ANYTHING
from flicker_dagster_tests.simulation.bucket import SimStore
from flicker_dagster_tests.state.lease_world import KEY, Clock, World
from flicker_dagster_tests.waiting import until


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
    until(lambda: world.bucket.writes >= 4, "it is renewed again and again")
    renewal.end()
    writes = world.bucket.writes
    lease.give_back()
    assert world.bucket.writes == writes + 1
