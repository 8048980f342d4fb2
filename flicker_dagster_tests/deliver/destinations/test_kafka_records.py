"""Kafka: what a record holds, and how it is read back."""

from __future__ import annotations

import confluent_kafka
import pytest

from flicker_dagster.deliver.outcomes import Delivered, Duplicate
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import PROGRESS, TOPIC, broker, opened, read, send


def test_a_record_is_the_event_byte_for_byte_with_its_id_source_and_time() -> None:
    events = [b'{"id":"s","agent":"cut \\ud83d"}', b'{"raw":"\xff\xfe", "n":1.10}', event_of(1)]
    times_ms = [NOW_MS - 5_000, None, NOW_MS + 86_400_000]
    lot = lot_of(events, times_ms=times_ms)
    with broker() as kafka:
        assert send(lot, kafka.address) == Delivered("committed")
        stored = kafka.stored
    assert [record.value for record in stored] == events
    assert [record.key for record in stored] == [b"okta"] * 3
    assert [record.headers["event_uid"] for record in stored] == [uid.encode() for uid in lot.uids]
    assert {(record.headers["source"], record.headers["schema"]) for record in stored} == {(b"okta", b"vendor")}
    expected = [NOW_MS - 5_000, NOW_MS, NOW_MS]
    assert [record.timestamp_ms for record in stored] == expected, "a broker refuses times in the future"


def test_the_key_may_be_the_event_and_the_timestamp_that_of_the_collection() -> None:
    lot = lots_of(30, size=30)[0]
    with broker(partitions=3) as kafka:
        assert isinstance(send(lot, kafka.address, key="event", timestamp="collected"), Delivered)
        assert {record.key.decode() for record in kafka.stored} == set(lot.uids)
        assert {record.timestamp_ms for record in kafka.stored} == {NOW_MS}
        assert all(partition.batches for partition in kafka.topics[TOPIC].partitions), "spread over partitions"


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_an_independent_reader_finds_each_event_in_order(compression: str) -> None:
    lots = lots_of(200)
    with broker() as kafka:
        destination = opened(kafka.address, compression=compression)
        assert [destination.send(lot) for lot in lots] == [Delivered("committed")] * 2
        destination.close()
        found = read(kafka.address)
    assert [message.value() for message in found] == [event for lot in lots for event in lot.events]


def test_librdkafkas_own_broker_takes_it_as_well() -> None:
    mock = confluent_kafka.Producer(
        {"bootstrap.servers": "unused", "test.mock.num.brokers": 3, "log_level": 0, "client.id": "mock"}
    )
    brokers = ",".join(f"{each.host}:{each.port}" for each in mock.list_topics(timeout=10).brokers.values())
    for topic in (TOPIC, PROGRESS):  # its topics are made when they are written to
        mock.produce(topic, b"", headers={"event_uid": b"made"})
    assert mock.flush(10) == 0
    lots = lots_of(300)
    destination = opened(brokers)
    try:
        assert [destination.send(lot) for lot in lots] == [Delivered("committed")] * 3
        assert destination.send(lots[0]) == Duplicate("committed before")
    finally:
        destination.close()
    values = [message.value() for message in read(brokers) if message.value()]
    assert sorted(values) == sorted(event for lot in lots for event in lot.events)


def test_an_event_above_the_limit_is_told_before_anything_is_sent() -> None:
    lot = lot_of([event_of(1), event_of(2, detail="x" * 5_000), event_of(3)])
    destination = opened("127.0.0.1:1", max_message_bytes=4_000)
    assert list(destination.unfit(lot)) == [1]
    assert "more than max_message_bytes (4,000)" in destination.unfit(lot)[1]
    assert destination.unfit(lot.part([0, 2])) == {}


def test_an_event_as_large_as_the_limit_is_taken() -> None:
    event = b'"%b"' % (b"x" * 99_998)
    with broker() as kafka:
        destination = opened(kafka.address, max_message_bytes=100_000)
        assert destination.unfit(lot_of([event])) == {}
        assert isinstance(destination.send(lot_of([event, event_of(1)])), Delivered)
        destination.close()
