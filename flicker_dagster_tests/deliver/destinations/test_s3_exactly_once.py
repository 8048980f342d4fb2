"""Objects in S3, exactly once: whoever is killed, whatever answer is lost, each object is written once."""

from __future__ import annotations

import logging
import random
from contextlib import suppress

import pytest

from flicker_dagster.deliver.destination import open_destination
from flicker_dagster.deliver.learned import LearnedLimits
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, PerItem, Retry, Split
from flicker_dagster.errors import StateError
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.s3 import S3Receiver
from flicker_dagster.types import Settled
from flicker_dagster_tests.deliver.contract import Letters, MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.stores import (
    DAY_MS,
    ENV,
    KEYS,
    MONDAY_MS,
    Opens,
    context,
    record,
    two_days,
)

# -- exactly once


def test_what_was_stored_before_the_answer_got_lost_is_found_again(store: S3Receiver, opened_s3: Opens) -> None:
    store.faults.plan("commit_then_cut", after=2)
    lot = lot_of([event_of(i) for i in range(3)])
    assert isinstance(opened_s3(store).send(lot), Ambiguous)
    assert isinstance(opened_s3(store).send(lot), Duplicate)
    assert store.uids() == dict.fromkeys(lot.uids, 1)
    assert [each.writes for each in store.objects().values()] == [1]


def test_of_several_objects_each_is_found_again_by_its_own_name(store: S3Receiver, opened_s3: Opens) -> None:
    store.faults.plan("commit_then_cut", after=3)  # the test, the test again, the first day
    lot = two_days()
    answer = opened_s3(store).send(lot)
    assert isinstance(answer, PerItem)
    assert [type(item) for item in answer.items] == [Delivered, Ambiguous] * 3
    again = opened_s3(store).send(lot)
    assert again == Duplicate("HTTP 412 Precondition Failed: it is there")
    left = [index for index, item in enumerate(answer.items) if isinstance(item, Ambiguous)]
    assert isinstance(opened_s3(store).send(lot.part(left)), Duplicate)
    assert store.uids() == dict.fromkeys(lot.uids, 1)


def test_what_follows_an_object_that_was_not_stored_is_not_tried(store: S3Receiver, opened_s3: Opens) -> None:
    store.faults.plan("503", after=2)
    answer = opened_s3(store).send(two_days())
    assert isinstance(answer, Retry)
    assert store.objects() == {}


def test_a_piece_that_is_too_large_does_not_change_the_name_of_one_that_is_stored(
    store: S3Receiver, opened_s3: Opens
) -> None:
    store.faults.plan("400", says="EntityTooLarge", after=3)
    lot = two_days()
    answer = opened_s3(store).send(lot)
    assert isinstance(answer, PerItem)
    assert [type(item) for item in answer.items] == [Delivered, Retry] * 3
    store.faults.plan("400", says="EntityTooLarge", after=1, count=2)
    assert isinstance(opened_s3(store).send(two_days(count=8)), Split)  # nothing of it is stored


def test_another_s_object_under_the_name_is_not_taken_for_ours(store: S3Receiver, opened_s3: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    opened_s3(store).send(lot)
    (stored,) = store.objects().values()
    stored.headers["x-amz-meta-flicker-events"] = "7-abc"
    answer = opened_s3(store).send(lot)
    assert isinstance(answer, Blocked)
    assert "another object lies at" in answer.why


@pytest.mark.parametrize("way", ["may_read", "keeps_metadata"])
def test_an_object_that_cannot_be_looked_at_is_known_by_its_name(store: S3Receiver, opened_s3: Opens, way: str) -> None:
    setattr(store, way, False)
    lot = lot_of([event_of(0)])
    assert isinstance(opened_s3(store).send(lot), Delivered)
    assert isinstance(opened_s3(store).send(lot), Duplicate)


@pytest.mark.parametrize(("way", "words"), [("heeds_conditions", "ignores"), ("knows_conditions", "does not know")])
def test_a_store_without_conditions_is_told_of_once_and_written_to_all_the_same(
    store: S3Receiver, opened_s3: Opens, caplog: pytest.LogCaptureFixture, way: str, words: str
) -> None:
    setattr(store, way, False)
    destination, lot = opened_s3(store), lot_of([event_of(0)])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert isinstance(destination.send(lot), Delivered)
    assert [f"{words} If-None-Match" in each.message for each in caplog.records] == [True]
    (stored,) = store.objects().values()
    assert (stored.writes, len(stored.bodies)) == (3, 1)  # the same bytes in place of themselves


def test_a_store_that_heeds_conditions_is_asked_once_in_a_run_and_one_small_object_remains(
    store: S3Receiver, opened_s3: Opens
) -> None:
    for _ in range(2):
        destination = opened_s3(store)
        destination.send(lot_of([event_of(0)]))
        destination.send(lot_of([event_of(1)]))
    assert store.requests["PUT"] == 2 + 1 + 4  # the first run writes it, the second finds it
    assert store.buckets["logs"]["audit/_flicker_conditional_writes"].body == b""


# -- the contract


def test_commits_whose_answers_are_cut_end_exactly_once(store: S3Receiver) -> None:
    store.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(2_000, size=50)
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url), context()), runs=200)
    assert drained.done
    assert store.uids() == {uid: 1 for lot in lots for uid in lot.uids}
    assert len(store.objects()) == len(lots)
    assert {each.writes for each in store.objects().values()} == {1}


def test_cut_commits_of_lots_that_span_days_end_exactly_once(store: S3Receiver) -> None:
    store.faults.plan("commit_then_cut", count=None, share=0.25)
    store.faults.plan("503", count=None, share=0.1)
    times = [MONDAY_MS - DAY_MS * (i % 5) for i in range(40)]
    lots = [lot_of([event_of(40 * n + i) for i in range(40)], seq=n, times_ms=times) for n in range(20)]
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url, format="ndjson"), context()), runs=300)
    assert drained.done
    events = [event for lot in lots for event in lot.events]
    assert sorted(store.lines()) == sorted(events)
    assert len(store.objects()) == 5 * len(lots)


class Dying(MemoryQueue):
    """Killed, now and then, between an answer and writing it down."""

    def __init__(self, lots: list[Lot], chance: random.Random) -> None:
        super().__init__(lots)
        self.chance = chance

    def settle(self, lot: Lot, settled: Settled) -> None:
        if self.chance.random() < 0.15:
            raise StateError("killed before the journal")
        super().settle(lot, settled)


def a_lot_of_days(seq: int, chance: random.Random, *, days: int) -> Lot:
    """Up to 40 events, some of which pack badly, of several days."""
    count = chance.choice([1, 7, 40])
    details = [hex(chance.getrandbits(chance.choice([64, 2_000]))) for _ in range(count)]
    times = [MONDAY_MS - DAY_MS * chance.randrange(days) for _ in range(count)]
    return lot_of([event_of(100 * seq + i, detail=details[i]) for i in range(count)], seq=seq, times_ms=times)


@pytest.mark.parametrize("seed", range(36, 48))
def test_kills_lost_answers_and_limits_of_its_own_end_exactly_once(seed: int) -> None:
    chance = random.Random(seed)
    store = S3Receiver(keys=KEYS, seed=seed, max_bytes=2_500)
    store.faults.plan("commit_then_cut", count=None, share=0.15)
    store.faults.plan("503", count=None, share=0.1)
    store.faults.plan("409", count=None, share=0.05)
    lots = [a_lot_of_days(seq, chance, days=chance.choice([1, 3])) for seq in range(6)]
    queue, letters, learned = Dying(lots, chance), Letters(), LearnedLimits()
    try:
        for _ in range(300):
            with suppress(StateError):
                drain(
                    queue,
                    lambda: open_destination(record(store.url, max_in_flight=chance.choice([1, 4])), context()),
                    letters=letters,
                    learned=learned,
                )
            if not queue.waiting:
                break
    finally:
        store.close()
    assert not queue.waiting
    assert not letters.kept
    assert store.uids() == {uid: 1 for lot in lots for uid in lot.uids}


@pytest.mark.parametrize("fault", ["wrong_secret", "expired"])
def test_refused_credentials_keep_everything_until_they_are_mended(store: S3Receiver, fault: str) -> None:
    lots = lots_of(300)
    queue = MemoryQueue(lots)
    env = dict(ENV)
    if fault == "wrong_secret":
        env["AWS_SECRET"] = "another-secret-of-forty-characters-here"
    else:
        store.faults.plan("400", says="ExpiredToken", count=None)
    waiting = drain(queue, lambda: open_destination(record(store.url), context(env=env)), runs=3)
    assert queue.waiting == 300
    assert waiting.dead == 0
    assert "credentials: config.yaml:9" in waiting.last_words
    assert "EXAMPLE" not in waiting.last_words
    env["AWS_SECRET"] = ENV["AWS_SECRET"]
    store.faults.clear()
    assert drain(queue, lambda: open_destination(record(store.url), context(env=env)), runs=3).done
    assert store.uids() == {uid: 1 for lot in lots for uid in lot.uids}


@pytest.mark.parametrize("format", ["envelope", "ndjson"])
def test_a_store_s_own_limit_splits_down_to_the_event_that_is_too_large(store: S3Receiver, format: str) -> None:
    store.max_bytes = 3_000
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(4_000))
    lots = lots_of(400, make=lambda n: event_of(n, detail=noise) if n == 123 else event_of(n, detail=hex(n**9)))
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url, format=format), context()), runs=20)
    assert drained.done
    assert (drained.delivered, drained.dead) == (399, 1)
    assert "EntityTooLarge" in drained.letters.kept[0].reason
    assert len(store.lines()) == 399


def test_poison_costs_itself_only(store: S3Receiver) -> None:
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n)[:-1] + b',"x":"\xff"}' if n % 100 == 7 else event_of(n))
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url), context()), runs=5)
    assert drained.done
    assert (drained.delivered, drained.dead) == (9_900, 100)
    assert len(store.uids()) == 9_900
    assert set(store.uids().values()) == {1}
