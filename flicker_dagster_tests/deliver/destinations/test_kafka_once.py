"""Kafka, exactly once: whoever dies, whatever answer is lost, readers of committed records find each event once."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import confluent_kafka
import pytest

from flicker_dagster.deliver.destinations.kafka import Kafka
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, PerItem, Retry
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.kafka.broker import Fault
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import (
    PROGRESS,
    another_process,
    broker,
    drains,
    opened,
    read,
    send,
    uids_read,
)
from flicker_dagster_tests.waiting import until

EVENTS, SIZE = 60, 20


def expected(count: int = EVENTS, size: int = SIZE) -> Counter[str]:
    return Counter(uid for lot in lots_of(count, size=size) for uid in lot.uids)


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


# -- several processes


def test_a_process_that_was_taken_over_stops_and_says_so() -> None:
    lots = lots_of(EVENTS, size=SIZE)
    with broker() as kafka:
        old, new = opened(kafka.address), opened(kafka.address)
        assert isinstance(old.send(lots[0]), Delivered)
        assert isinstance(new.send(lots[1]), Delivered)
        refused = old.send(lots[2])
        assert isinstance(refused, Blocked)
        assert "another process sends for this lane, under transactional id flicker.okta@kafka" in refused.why
        assert old.send(lots[2]) == refused, "it does not fence back"
        assert new.send(lots[0]) == Duplicate("committed before")
        assert isinstance(new.send(lots[2]), Delivered)
        old.close()
        new.close()
        assert uids_read(kafka.address) == expected()


class _ForgetfulProducer(confluent_kafka.Producer):
    """Loses the exception of what it was doing, as the library does where two of its callbacks fail in one call."""

    def flush(self, *arguments: float) -> int:
        try:
            return super().flush(*arguments)
        except BaseException:
            raise SystemError("returned NULL without setting an exception") from None


def test_a_fatal_error_that_the_library_lost_on_the_way_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confluent_kafka, "Producer", _ForgetfulProducer)
    lots = lots_of(EVENTS, size=SIZE)
    with broker() as kafka:
        old, new = opened(kafka.address), opened(kafka.address)
        assert isinstance(old.send(lots[0]), Delivered)
        assert isinstance(new.send(lots[1]), Delivered)
        refused = old.send(lots[2])
        assert isinstance(refused, Blocked)
        assert "another process sends for this lane" in refused.why
        old.close()
        new.close()


def test_a_call_that_is_broken_for_no_error_of_the_producers_is_not_taken_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: float) -> int:
        raise SystemError("returned NULL without setting an exception")

    monkeypatch.setattr(_ForgetfulProducer, "flush", broken)
    monkeypatch.setattr(confluent_kafka, "Producer", _ForgetfulProducer)
    with broker() as kafka:
        destination = opened(kafka.address)
        with pytest.raises(SystemError):
            destination.send(lots_of(EVENTS, size=SIZE)[0])
        destination.close()
        assert uids_read(kafka.address) == {}


def test_streams_and_lanes_do_not_fence_each_other() -> None:
    with broker() as kafka:
        contexts = [{"stream": "okta"}, {"stream": "github"}, {"stream": "okta", "lane": "second"}]
        lanes = [opened(kafka.address, context=context) for context in contexts]
        for number in range(3):
            lots = [
                lot_of([event_of(number, lane=place)], source=context["stream"])
                for place, context in enumerate(contexts)
            ]
            assert [lane.send(lot) for lane, lot in zip(lanes, lots)] == [Delivered("committed")] * 3
        for lane in lanes:
            lane.close()
        assert set(uids_read(kafka.address).values()) == {1}


def test_notes_behind_somebody_elses_open_transaction_are_waited_for() -> None:
    """Readers of committed records see nothing behind a transaction that is open, whoever has opened it."""
    first, second = lots_of(2 * SIZE, size=SIZE)
    theirs = lot_of([event_of(0)], source="github")
    with broker(partitions=1) as kafka:
        ours = opened(kafka.address)
        assert isinstance(ours.send(first), Delivered)
        kafka.plan(Fault("EndTxn", "cut_before", count=None))
        other = opened(kafka.address, context={"stream": "github"}, timeout_ms=600)
        assert isinstance(other.send(theirs), Ambiguous)
        kafka.clear_faults()
        assert isinstance(ours.send(second), Delivered)
        ours.close()
        outcome = send(second, kafka.address, timeout_ms=700)
        assert isinstance(outcome, Retry)
        assert "another producer's transaction is open in flicker-progress" in outcome.why
        assert isinstance(other.send(theirs), Delivered)
        other.close()
        assert send(second, kafka.address) == Duplicate("committed before")
        assert uids_read(kafka.address) == expected(2 * SIZE) + Counter(theirs.uids)


# -- what starting costs


def test_a_lot_that_another_machine_collected_and_committed_before_is_known() -> None:
    with broker() as kafka:
        assert isinstance(send(_collected(NOW_MS, 1), kafka.address), Delivered)
        assert send(_collected(NOW_MS + 3_000_000, 1), kafka.address) == Duplicate("committed before")
        later = _collected(NOW_MS + 5_000_000, 1)
        assert send(later, kafka.address, progress_lookback_ms=6_000_000) == Duplicate("committed before")
        assert send(later, kafka.address) == Delivered("committed"), "beyond what is looked back at"


def test_only_notes_since_the_lot_was_collected_are_read() -> None:
    with broker(partitions=1) as kafka:
        destination = opened(kafka.address)
        for hour in range(30):
            assert isinstance(destination.send(_collected(NOW_MS + hour * 3_600_000, hour)), Delivered)
        destination.close()
        begins: list[int] = []
        partition = kafka.topics[PROGRESS].partitions[0]
        whole = partition.read
        partition.read = lambda offset, **how: (begins.append(offset), whole(offset, **how))[1]  # type: ignore[method-assign]
        assert send(_collected(NOW_MS + 28 * 3_600_000, 28), kafka.address) == Duplicate("committed before")
        assert min(begins) == 27 * 2, "from an hour before; each note is followed by its commit"


def test_a_request_costs_one_note_and_no_further_question() -> None:
    with broker() as kafka:
        destination = opened(kafka.address)
        lots = lots_of(EVENTS, size=SIZE)
        assert isinstance(destination.send(lots[0]), Delivered)
        before = dict(kafka.requests)
        assert [destination.send(lot) for lot in lots[1:]] == [Delivered("committed")] * 2
        destination.close()
        asked = {name: count - before[name] for name, count in kafka.requests.items() if count != before[name]}
        assert asked["EndTxn"] == 2
        assert asked.keys() <= {"AddPartitionsToTxn", "Produce", "EndTxn"}
        assert len(kafka.notes) == 3


def _collected(at_ms: int, number: int) -> Lot:
    lot = lot_of([event_of(number)])
    return Lot.of(
        lot.events, digests=lot.digests, times_ms=lot.times_ms, source=lot.source, collected_ms=at_ms, lot_id=lot.lot_id
    )


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
