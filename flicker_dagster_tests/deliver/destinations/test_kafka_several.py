"""Kafka and several processes: who is taken over stops, and what others committed is known at the start."""

from __future__ import annotations

from collections import Counter

import confluent_kafka
import pytest

from flicker_dagster.deliver.destinations.kafka import Kafka
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, Retry
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.kafka.broker import Fault
from flicker_dagster.simulator.receivers.kafka import KafkaReceiver
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import (
    EVENTS,
    PROGRESS,
    SIZE,
    broker,
    expected,
    opened,
    send,
    uids_read,
)

# -- several processes


def _taken_over(kafka: KafkaReceiver, lots: list[Lot]) -> tuple[Kafka, Kafka, Blocked]:
    """Two processes that each sent a lot, and what the first one's next gets."""
    old, new = opened(kafka.address), opened(kafka.address)
    assert isinstance(old.send(lots[0]), Delivered)
    assert isinstance(new.send(lots[1]), Delivered)
    refused = old.send(lots[2])
    assert isinstance(refused, Blocked)
    return old, new, refused


def test_a_process_that_was_taken_over_stops_and_says_so() -> None:
    lots = lots_of(EVENTS, size=SIZE)
    with broker() as kafka:
        old, new, refused = _taken_over(kafka, lots)
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
        old, new, refused = _taken_over(kafka, lots)
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


def _collected(at_ms: int, number: int) -> Lot:
    lot = lot_of([event_of(number)])
    return Lot.of(
        lot.events, digests=lot.digests, times_ms=lot.times_ms, source=lot.source, collected_ms=at_ms, lot_id=lot.lot_id
    )


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
