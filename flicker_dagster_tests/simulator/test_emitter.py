"""What a simulated vendor recorded, when, and what of it can be seen."""

from __future__ import annotations

import random

from flicker_dagster.simulator.emitter import Emitter, Habits, rows
from flicker_dagster_tests.simulator.worlds import Clock, ids


def numbered(number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
    return f"{number}-{chance.getrandbits(32)}", str(published_ms).encode()


def numbers(events: list) -> list[int]:
    return [event.number for event in events]


def test_a_rate_makes_its_events_as_time_passes() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=2.0, clock=clock)
    assert emitter.emitted() == []
    clock.move(5)
    assert len(emitter.emitted()) == 10
    assert emitter.emitted()[-1].published_ms == clock.now_ms


def test_how_often_somebody_looks_changes_nothing() -> None:
    looked_often, looked_once = Clock(), Clock()
    often, once = (
        Emitter(numbered, rate=3.0, seed=4, habits=Habits(late_share=0.3, late_s=2), clock=clock)
        for clock in (looked_often, looked_once)
    )
    for _ in range(50):
        looked_often.move(0.5)
        often.emitted()
    looked_once.move(25)
    assert ids(often.emitted()) == ids(once.emitted())


def test_a_new_rate_counts_from_now_and_stop_ends_it() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=1.0, clock=clock)
    clock.move(10)
    emitter.set_rate(5.0)
    clock.move(2)
    assert len(emitter.emitted()) == 20
    emitter.stop()
    clock.move(100)
    assert len(emitter.emitted()) == 20


def test_history_lies_in_the_past_and_is_visible_at_once() -> None:
    clock = Clock()
    emitter = Emitter(numbered, history_s=3600, history_rate=0.1, clock=clock)
    history = emitter.emitted()
    assert len(history) == 360
    assert history[0].published_ms == clock.ago_ms(3600)
    assert history[-1].published_ms == clock.ago_ms(10)


def test_a_late_event_keeps_its_time_and_is_seen_after_its_delay() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=1.0, habits=Habits(late_share=1.0, late_s=60), clock=clock)
    clock.move(1)
    published_ms = clock.now_ms
    emitter.stop()
    clock.move(59)
    assert emitter.emitted() == []
    assert emitter.between(0, clock.now_ms) == []
    clock.move(1)
    (event,) = emitter.emitted()
    assert (event.published_ms, event.visible_ms) == (published_ms, published_ms + 60_000)


def test_a_very_late_event_comes_a_day_later() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=1.0, habits=Habits(very_late_share=1.0), clock=clock)
    clock.move(1)
    emitter.stop()
    clock.move(86_399)
    assert emitter.emitted() == []
    clock.move(1)
    assert len(emitter.emitted()) == 1


def test_shares_of_late_and_very_late_events_are_kept() -> None:
    clock = Clock()
    habits = Habits(late_share=0.3, late_s=60, very_late_share=0.1, very_late_s=3600)
    emitter = Emitter(numbered, rate=100.0, habits=habits, clock=clock)
    clock.move(20)
    emitter.stop()
    clock.move(3600)
    delays = [event.visible_ms - event.published_ms for event in emitter.emitted()]
    assert len(delays) == 2000
    assert 500 < delays.count(60_000) < 700
    assert 140 < delays.count(3_600_000) < 260
    assert delays.count(0) == 2000 - delays.count(60_000) - delays.count(3_600_000)


def test_events_are_stored_in_the_order_in_which_they_become_visible_however_far_the_clock_jumps() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=2.0, habits=Habits(late_share=0.4, late_s=7), history_s=600, clock=clock)
    clock.move(300)
    emitter.emit(3, at_ms=clock.ago_ms(500))
    emitter.emit(2, at_ms=clock.ago_ms(500), visible_ms=clock.now_ms + 1_500)
    clock.move(300)
    seen = [event.visible_ms for event in emitter.stored()]
    assert seen == sorted(seen)
    by_time = [event.published_ms for event in emitter.between(0, clock.now_ms)]
    assert by_time == sorted(by_time)
    assert len(by_time) == len(seen)


def test_what_is_emitted_for_the_past_becomes_visible_now_and_not_in_the_past() -> None:
    clock = Clock()
    emitter = Emitter(numbered, clock=clock)
    (event,) = emitter.emit(1, at_ms=clock.ago_ms(3600))
    assert (event.published_ms, event.visible_ms) == (clock.ago_ms(3600), clock.now_ms)
    assert emitter.emitted() == [event]


def test_what_is_emitted_for_later_stays_hidden_until_then() -> None:
    clock = Clock()
    emitter = Emitter(numbered, clock=clock)
    emitter.emit(1, visible_ms=clock.now_ms + 5_000)
    assert emitter.emitted() == []
    clock.move(5)
    assert len(emitter.emitted()) == 1


def test_ties_are_many_events_of_one_instant() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=10.0, habits=Habits(tie_ms=1000), clock=clock)
    clock.move(10)
    times_ms = {event.published_ms for event in emitter.emitted()}
    assert all(ms % 1000 == 0 for ms in times_ms)
    assert len(times_ms) == 11
    assert len(emitter.emitted()) == 100


def test_a_duplicate_is_one_event_that_a_listing_shows_twice() -> None:
    clock = Clock()
    emitter = Emitter(numbered, rate=100.0, habits=Habits(duplicate_share=0.2), clock=clock)
    clock.move(10)
    events = emitter.emitted()
    twice = sum(event.copies == 2 for event in events)
    assert len(events) == len(set(ids(events))) == 1000
    assert 140 < twice < 260
    assert len(rows(events)) == 1000 + twice


def test_the_same_seed_makes_the_same_events_and_another_seed_others() -> None:
    def emitted(seed: int) -> list:
        clock = Clock()
        emitter = Emitter(numbered, rate=5.0, habits=Habits(late_share=0.5), history_s=60, seed=seed, clock=clock)
        clock.move(120)
        return [(event.id, event.visible_ms, event.body) for event in emitter.emitted()]

    assert emitted(7) == emitted(7)
    assert emitted(7) != emitted(8)


def test_between_includes_both_edges() -> None:
    clock = Clock()
    emitter = Emitter(numbered, clock=clock)
    for ago_s in (40, 30, 30, 20, 10):
        emitter.emit(1, at_ms=clock.ago_ms(ago_s))
    assert numbers(emitter.between(clock.ago_ms(30), clock.ago_ms(20))) == [1, 2, 3]
    assert numbers(emitter.between(clock.ago_ms(30) + 1, clock.ago_ms(20) - 1)) == []
    assert numbers(emitter.between(0, clock.now_ms)) == [0, 1, 2, 3, 4]
