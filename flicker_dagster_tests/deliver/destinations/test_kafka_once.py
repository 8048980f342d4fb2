"""Kafka, exactly once: whoever dies, whatever answer is lost, readers of committed records find each event once."""

from __future__ import annotations

import json
import os
import signal

import pytest

from flicker_dagster.deliver.destinations.kafka import Kafka
from flicker_dagster.deliver.outcomes import Ambiguous, Delivered, Duplicate, PerItem, Retry
from flicker_dagster.simulator.kafka.broker import Fault
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import (
    EVENTS,
    SIZE,
    another_process,
    broker,
    drains,
    expected,
    opened,
    read,
    send,
    uids_read,
)
from flicker_dagster_tests.waiting import until

# -- killed


STEPS = [
    (request, kind, nth)
    for request, nths in (
        ("InitProducerId", (0,)),
        ("AddPartitionsToTxn", (0, 1)),
        ("Produce", (0, 1)),
        ("EndTxn", (0, 1, 2)),
    )
    for kind in ("cut_before", "silent")
    for nth in nths
]


@pytest.mark.parametrize(("request_", "kind", "nth"), STEPS, ids=["-".join(map(str, step)) for step in STEPS])
def test_a_process_that_is_killed_at_any_step(request_: str, kind: str, nth: int) -> None:
    """Its queue dies with it, so that the next one sends everything again: the worst that a journal can have forgotten."""
    with broker() as kafka:
        victims: list[int] = []

        def kill() -> None:
            until(lambda: victims, "the process has a number")
            os.kill(victims[0], signal.SIGKILL)

        kafka.plan(Fault(request_, kind, after=nth, do=kill))
        with another_process(drains, kafka.address, EVENTS, SIZE, {}) as process:
            victims.append(process.pid)
            process.join(60)
            assert process.exitcode == -signal.SIGKILL
        drained = drain(MemoryQueue(lots_of(EVENTS, size=SIZE)), lambda: opened(kafka.address), runs=5)
        assert drained.done, drained.last_words
        assert (drained.delivered, drained.dead) == (EVENTS, 0)
        assert uids_read(kafka.address) == expected()


def test_what_a_killed_process_had_written_is_seen_by_readers_of_uncommitted_records_only() -> None:
    with broker() as kafka:
        victims: list[int] = []

        def kill() -> None:
            until(lambda: victims, "the process has a number")
            os.kill(victims[0], signal.SIGKILL)

        kafka.plan(Fault("EndTxn", "cut_before", do=kill))
        with another_process(drains, kafka.address, EVENTS, SIZE, {}) as process:
            victims.append(process.pid)
            process.join(60)
        assert drain(MemoryQueue(lots_of(EVENTS, size=SIZE)), lambda: opened(kafka.address), runs=3).done
        assert uids_read(kafka.address) == expected()
        assert sum(uids_read(kafka.address, committed=False).values()) == EVENTS + SIZE


# -- answers that are lost


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
def test_a_quarter_of_the_commits_cut(kind: str) -> None:
    with broker(seed=4) as kafka:
        kafka.plan(Fault("EndTxn", kind, count=None, share=0.25))
        drained = drain(MemoryQueue(lots_of(100, size=10)), lambda: opened(kafka.address), runs=40)
        assert drained.done
        assert drained.delivered == 100
        assert kafka.requests["EndTxn"] > 10 or kind == "cut_before"
        assert uids_read(kafka.address) == expected(100, 10)


def test_a_quarter_of_the_commits_done_and_never_answered() -> None:
    with broker(seed=7) as kafka:
        kafka.plan(Fault("EndTxn", "silent", count=None, share=0.25))
        drained = drain(MemoryQueue(lots_of(80, size=10)), lambda: opened(kafka.address, timeout_ms=600), runs=40)
        assert drained.done
        assert drained.delivered == 80
        assert sum(report.duplicate for report in drained.reports) > 0
        assert uids_read(kafka.address) == expected(80, 10)


def test_a_commit_whose_answer_was_lost_is_known_to_the_same_and_to_another_process() -> None:
    lots = lots_of(EVENTS, size=SIZE)
    with broker() as kafka:
        first = opened(kafka.address, timeout_ms=600)
        kafka.plan(Fault("EndTxn", "silent"))
        assert isinstance(first.send(lots[0]), Ambiguous)
        assert first.send(lots[0]) == Duplicate("committed before")
        assert first.send(lots[1]) == Delivered("committed")
        kafka.plan(Fault("EndTxn", "silent"))
        assert isinstance(first.send(lots[2]), Ambiguous)
        first.close()
        assert send(lots[2], kafka.address) == Duplicate("committed before")
        assert uids_read(kafka.address) == expected()


def test_a_commit_that_was_never_done_is_not_taken_for_done() -> None:
    (lot,) = lots_of(SIZE, size=SIZE)
    with broker() as kafka:
        destination = opened(kafka.address, timeout_ms=600)
        kafka.plan(Fault("EndTxn", "cut_before", count=None))
        assert isinstance(destination.send(lot), Ambiguous)
        kafka.clear_faults()
        assert destination.send(lot) == Delivered("committed")
        destination.close()
        assert uids_read(kafka.address) == expected(SIZE)


def test_a_lot_that_is_cut_otherwise_after_a_lost_answer_sends_only_what_is_missing() -> None:
    (lot,) = lots_of(SIZE, size=SIZE)
    with broker() as kafka:
        assert isinstance(send(lot.part(range(8)), kafka.address), Delivered)
        assert isinstance(send(lot.part([12, 14]), kafka.address), Delivered)
        destination = opened(kafka.address, key="event")
        outcome = destination.send(lot)
        assert isinstance(outcome, PerItem)
        left = [place for place, item in enumerate(outcome.items) if isinstance(item, Retry)]
        assert left == [8, 9, 10, 11, 13, 15, 16, 17, 18, 19]
        assert destination.send(lot.part([9, 12, 13])) == PerItem(
            (outcome.items[9], Duplicate("committed before"), outcome.items[13])
        )
        destination.close()
        assert drain(MemoryQueue([lot]), lambda: opened(kafka.address)).done
        assert uids_read(kafka.address) == expected(SIZE)


def test_another_topic_knows_nothing_of_what_was_committed_to_this_one() -> None:
    (lot,) = lots_of(SIZE, size=SIZE)
    with broker() as kafka:
        kafka.create_topic("other")
        assert isinstance(send(lot, kafka.address), Delivered)
        assert isinstance(send(lot, kafka.address, topic="other"), Delivered)
        assert len(read(kafka.address, topic="other")) == SIZE


# -- a lane of it


def test_wrong_credentials_keep_everything_until_they_are_mended() -> None:
    queue = MemoryQueue(lots_of(EVENTS, size=SIZE))
    with broker(users={"flicker": "right"}) as kafka:

        def with_(password: str) -> Kafka:
            sasl = {"type": "scram", "username": "flicker", "password": "${PASSWORD}"}
            return opened(kafka.address, sasl=sasl, context={"env": {"PASSWORD": password}})

        before = drain(queue, lambda: with_("wrong"), runs=2)
        assert (queue.waiting, before.dead) == (EVENTS, 0)
        assert "SASL" in before.last_words
        assert drain(queue, lambda: with_("right")).done
        assert kafka.counts() == expected()


@pytest.mark.parametrize("limit", ["max_message_bytes", "the topic's"])
def test_too_large_comes_down_to_the_one_guilty_event(limit: str) -> None:
    guilty = 37
    lots = lots_of(EVENTS, make=lambda n: event_of(n, detail="x" * (60_000 if n == guilty else 10)))
    keys = {"max_message_bytes": 50_000} if limit == "max_message_bytes" else {}
    with broker(max_message_bytes=1_048_588 if keys else 50_000) as kafka:
        drained = drain(MemoryQueue(lots), lambda: opened(kafka.address, **keys), runs=3)
        assert drained.done, drained.last_words
        assert (drained.delivered, drained.dead) == (EVENTS - 1, 1)
        assert json.loads(drained.letters.kept[0].event)["id"] == f"e{guilty:06d}"
        assert set(kafka.counts().values()) == {1}
        assert len(kafka.stored) == EVENTS - 1


def test_ten_thousand_events_of_which_one_in_a_hundred_is_too_large() -> None:
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n, detail="x" * (3_000 if n % 100 == 7 else 10)))
    with broker() as kafka:
        drained = drain(MemoryQueue(lots), lambda: opened(kafka.address, max_message_bytes=2_000))
        assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
        counts = kafka.counts()
        assert (len(counts), set(counts.values())) == (9_900, {1})


def test_events_that_the_broker_refuses_become_dead_letters_and_their_neighbours_are_delivered() -> None:
    lots = lots_of(400, make=lambda n: event_of(n, **({"bad": "p0ison"} if n % 100 == 7 else {})))
    with broker(poison="p0ison") as kafka:
        drained = drain(MemoryQueue(lots), lambda: opened(kafka.address), runs=3)
        assert (drained.delivered, drained.dead, drained.done) == (396, 4, True)
        assert set(kafka.counts().values()) == {1}
        assert len(kafka.stored) == 396


def test_a_broker_that_refuses_everything_costs_no_event() -> None:
    queue = MemoryQueue(lots_of(EVENTS))
    with broker(poison="action") as kafka:
        drained = drain(queue, lambda: opened(kafka.address))
        assert (drained.dead, queue.waiting) == (0, EVENTS)
        assert "every event, in the same words" in drained.last_words
