"""Kafka: what each answer of a broker stands for, and none."""

from __future__ import annotations

from typing import Any

import confluent_kafka
import pytest

from flicker_dagster.deliver.kafka.errors import NOTE, outcome_of_failures
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, PerItem, Rejected, Retry, Split
from flicker_dagster.simulator.kafka.broker import Fault
from flicker_dagster.simulator.kafka.errors import Code
from flicker_dagster_tests.deliver.contract import event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import broker, opened, send

ALWAYS = None

ROWS = [
    # request, error, outcome of three events, words
    ("InitProducerId", Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Blocked, "allow Write and Describe on the transact"),
    ("InitProducerId", Code.CLUSTER_AUTHORIZATION_FAILED, Blocked, "allow IdempotentWrite"),
    ("InitProducerId", Code.INVALID_TRANSACTION_TIMEOUT, Blocked, "lower transaction_timeout_ms"),
    ("InitProducerId", Code.CONCURRENT_TRANSACTIONS, Retry, "no transaction could begin within destination.timeout_ms"),
    ("Metadata", Code.UNKNOWN_TOPIC_OR_PARTITION, Blocked, "topic audit-events: UNKNOWN_TOPIC_OR_PART"),
    ("Metadata", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "topic audit-events: TOPIC_AUTHORIZATION_FAILED"),
    ("Metadata", Code.INVALID_TOPIC, Blocked, "check the topic's name"),
    ("Metadata", Code.LEADER_NOT_AVAILABLE, Retry, "LEADER_NOT_AVAILABLE"),
    ("ListOffsets", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "Read on the progress topic"),
    ("ListOffsets", Code.NOT_LEADER_FOR_PARTITION, Retry, "NOT_LEADER_FOR_PARTITION"),
    ("Fetch", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "Read on the progress topic"),
    ("AddPartitionsToTxn", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "TOPIC_AUTHORIZATION_FAILED"),
    ("AddPartitionsToTxn", Code.INVALID_PRODUCER_ID_MAPPING, Retry, "INVALID_PRODUCER_ID_MAPPING"),
    ("AddPartitionsToTxn", Code.PRODUCER_FENCED, Blocked, "another process sends for this lane"),
    ("Produce", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "TOPIC_AUTHORIZATION_FAILED"),
    ("Produce", Code.POLICY_VIOLATION, Blocked, "policy"),
    ("Produce", Code.MSG_SIZE_TOO_LARGE, Split, "MSG_SIZE_TOO_LARGE"),
    ("Produce", Code.INVALID_TIMESTAMP, Rejected, "INVALID_TIMESTAMP"),
    ("Produce", Code.INVALID_RECORD, Rejected, "INVALID_RECORD"),
    ("Produce", Code.OUT_OF_ORDER_SEQUENCE_NUMBER, Retry, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
    ("Produce", Code.INVALID_TXN_STATE, Retry, "INVALID_TXN_STATE"),
    ("Produce", Code.NOT_ENOUGH_REPLICAS, Retry, "messages were not written within destination.timeout_ms"),
    ("Produce", Code.INVALID_PRODUCER_EPOCH, Blocked, "another process sends for this lane"),
    ("EndTxn", Code.PRODUCER_FENCED, Blocked, "another process sends for this lane"),
    ("EndTxn", Code.INVALID_PRODUCER_EPOCH, Blocked, "another process sends for this lane"),
    ("EndTxn", Code.INVALID_TXN_STATE, Ambiguous, "INVALID_TXN_STATE"),
    ("EndTxn", Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Ambiguous, "a commit was asked for"),
    ("EndTxn", Code.COORDINATOR_NOT_AVAILABLE, Ambiguous, "a commit was asked for and not answered within"),
]


@pytest.mark.parametrize(("request_", "code", "expected", "words"), ROWS, ids=[f"{r[0]} {r[1].name}" for r in ROWS])
def test_what_an_error_stands_for_and_nothing_is_lost_or_doubled(
    request_: str, code: Code, expected: type, words: str
) -> None:
    lot = lots_of(3, size=3)[0]
    with broker() as kafka:
        kafka.plan(Fault(request_, "error", code, count=ALWAYS))
        outcome = send(lot, kafka.address, timeout_ms=700)
        assert isinstance(outcome, expected), outcome
        assert words in outcome.why
        assert kafka.stored == []
        kafka.clear_faults()
        assert send(lot, kafka.address) == Delivered("committed"), "the next delivery goes on"
        assert set(kafka.counts().values()) == {1}


@pytest.mark.parametrize(
    ("request_", "kind", "count", "expected"),
    [
        ("InitProducerId", "silent", ALWAYS, Retry),
        ("Metadata", "cut_before", ALWAYS, Retry),
        ("ListOffsets", "cut_after", 1, Delivered),
        ("ListOffsets", "silent", ALWAYS, Retry),
        ("Fetch", "silent", ALWAYS, Retry),
        ("AddPartitionsToTxn", "cut_after", 1, Delivered),
        ("Produce", "cut_after", 1, Delivered),
        ("Produce", "silent", ALWAYS, Retry),
        ("EndTxn", "cut_before", 1, Delivered),
        ("EndTxn", "cut_after", 1, Delivered),
        ("EndTxn", "cut_before", ALWAYS, Ambiguous),
        ("EndTxn", "silent", ALWAYS, Ambiguous),
    ],
)
def test_answers_that_are_lost(request_: str, kind: str, count: int | None, expected: type) -> None:
    lot = lots_of(3, size=3)[0]
    with broker() as kafka:
        kafka.plan(Fault(request_, kind, count=count))
        outcome = send(lot, kafka.address, timeout_ms=5_000 if count else 800)
        assert isinstance(outcome, expected), outcome
        kafka.clear_faults()
        assert isinstance(send(lot, kafka.address), Delivered | Duplicate)
        assert set(kafka.counts().values()) == {1}
        assert len(kafka.stored) == 3


def test_nobody_there_is_a_retry() -> None:
    outcome = send(lots_of(3)[0], "127.0.0.1:1", timeout_ms=600)
    assert isinstance(outcome, Retry)
    assert "within destination.timeout_ms (0.6 s)" in outcome.why


def test_a_batch_that_is_refused_without_saying_for_which_record_is_to_be_cut() -> None:
    lot = lot_of([event_of(0), event_of(1, bad="p0ison"), event_of(2)])
    with broker(poison="p0ison") as kafka:
        destination = opened(kafka.address)
        assert destination.send(lot) == Rejected("INVALID_RECORD: Broker: Broker failed to validate record")
        assert kafka.stored == []
        assert isinstance(destination.send(lot.part([1])), PerItem | Rejected)
        assert isinstance(destination.send(lot.part([0, 2])), Delivered)
        destination.close()


def _failed(place: int, name: str) -> tuple[int, Any]:
    return place, confluent_kafka.KafkaError(getattr(confluent_kafka.KafkaError, name))


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([(0, "_INVALID_DIFFERENT_RECORD"), (1, "INVALID_RECORD"), (NOTE, "_PURGE_QUEUE")], [Retry, Rejected, Retry]),
        ([(0, "INVALID_RECORD"), (1, "INVALID_RECORD"), (2, "_INVALID_DIFFERENT_RECORD")], [Rejected, Rejected, Retry]),
        ([(2, "INVALID_TIMESTAMP")], [Retry, Retry, Rejected]),
        ([(0, "INVALID_TIMESTAMP"), (1, "INVALID_TIMESTAMP")], Rejected),
        ([(0, "_PURGE_QUEUE"), (1, "MSG_SIZE_TOO_LARGE")], Split),
        ([(0, "INVALID_RECORD"), (NOTE, "TOPIC_AUTHORIZATION_FAILED")], Blocked),
        ([(0, "_PURGE_INFLIGHT"), (1, "_MSG_TIMED_OUT")], Retry),
        ([(0, "_PURGE_INFLIGHT")], Retry),
    ],
)
def test_what_reports_of_messages_come_to(failures: list[tuple[int, str]], expected: Any) -> None:
    outcome = outcome_of_failures([_failed(*failure) for failure in failures], 3, str)
    if isinstance(expected, list):
        assert isinstance(outcome, PerItem)
        assert [type(item) for item in outcome.items] == expected
        assert {item.after_s for item in outcome.items if isinstance(item, Retry)} == {0}
    else:
        assert isinstance(outcome, expected)
        assert "_PURGE_QUEUE" not in str(outcome)
