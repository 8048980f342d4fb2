"""The Kafka receiver, judged by librdkafka's producers and readers: transactions, isolation, idempotence and refusals."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import confluent_kafka
import pytest

from flicker_dagster.simulator.kafka.broker import Fault
from flicker_dagster.simulator.kafka.records import crc32c, marker
from flicker_dagster.simulator.receivers.kafka import KafkaReceiver
from flicker_dagster_tests.deliver.destinations.kafka_lanes import TOPIC, Silent, read


class Clock:
    """Seconds since the epoch, moved by hand."""

    now_s = 1_795_464_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kafka(clock: Clock) -> Iterator[KafkaReceiver]:
    receiver = KafkaReceiver(partitions=1, clock=clock)
    yield receiver
    receiver.close()


def producer(kafka: KafkaReceiver, name: str | None = "p", **settings: Any) -> confluent_kafka.Producer:
    """A transactional producer that has begun, or with no name an idempotent one."""
    own: dict[str, Any] = {"enable.idempotence": True} if name is None else {"transactional.id": name}
    made = confluent_kafka.Producer({"bootstrap.servers": kafka.address, "logger": Silent(), **own, **settings})
    if name is not None:
        made.init_transactions(10)
    return made


def values(kafka: KafkaReceiver, *, committed: bool = True) -> list[bytes]:
    return [message.value() for message in read(kafka.address, committed=committed)]


def test_readers_of_committed_records_see_neither_what_was_given_up_nor_what_is_open(kafka: KafkaReceiver) -> None:
    first, second = producer(kafka, "first"), producer(kafka, "second")
    for value, ends in ((b"1", "commit"), (b"2", "abort"), (b"3", "commit"), (b"4", None)):
        first.begin_transaction()
        first.produce(TOPIC, value)
        assert first.flush(10) == 0
        if ends:
            getattr(first, f"{ends}_transaction")(10)
    assert values(kafka) == [b"1", b"3"]
    second.begin_transaction()
    second.produce(TOPIC, b"5")
    second.commit_transaction(10)
    assert values(kafka) == [b"1", b"3"], "behind a transaction that is open"
    first.commit_transaction(10)
    assert values(kafka) == [b"1", b"3", b"4", b"5"]
    assert values(kafka, committed=False) == [b"1", b"2", b"3", b"4", b"5"]
    assert [record.value for record in kafka.stored] == values(kafka)


def test_a_batch_that_is_sent_again_is_appended_once(kafka: KafkaReceiver) -> None:
    kafka.plan(Fault("Produce", "cut_after", count=3))
    idempotent = producer(kafka, None, **{"linger.ms": 0, "retry.backoff.ms": 10})
    for number in range(50):
        idempotent.produce(TOPIC, b"%d" % number)
        idempotent.poll(0)
    assert idempotent.flush(20) == 0
    assert values(kafka) == [b"%d" % number for number in range(50)]


def test_whoever_begins_under_the_same_id_fences_the_one_before(kafka: KafkaReceiver) -> None:
    old = producer(kafka)
    old.begin_transaction()
    old.produce(TOPIC, b"old")
    assert old.flush(10) == 0
    new = producer(kafka)
    new.begin_transaction()
    new.produce(TOPIC, b"new")
    new.commit_transaction(10)
    with pytest.raises(confluent_kafka.KafkaException) as caught:
        old.commit_transaction(10)
    assert caught.value.args[0].name() == "_FENCED"
    assert caught.value.args[0].fatal()
    assert values(kafka) == [b"new"]


def test_a_transaction_that_is_left_open_is_given_up_after_its_time(kafka: KafkaReceiver, clock: Clock) -> None:
    late = producer(kafka, "late", **{"transaction.timeout.ms": 30_000})
    late.begin_transaction()
    late.produce(TOPIC, b"late")
    assert late.flush(10) == 0
    clock.now_s += 31
    assert values(kafka) == []
    other = producer(kafka, "other")
    other.begin_transaction()
    other.produce(TOPIC, b"other")
    other.commit_transaction(10)
    assert values(kafka) == [b"other"]
    with pytest.raises(confluent_kafka.KafkaException, match="fenced"):
        late.commit_transaction(10)


@pytest.mark.parametrize(
    ("topic", "size", "name"),
    [
        (TOPIC, 2_000_000, "MSG_SIZE_TOO_LARGE"),
        ("nowhere", 10, "_UNKNOWN_TOPIC"),
        ("not a topic", 10, "TOPIC_EXCEPTION"),
        ("denied", 10, "TOPIC_AUTHORIZATION_FAILED"),
    ],
)
def test_what_a_real_one_refuses(kafka: KafkaReceiver, topic: str, size: int, name: str) -> None:
    kafka.create_topic("denied").denied = True
    settings = {"message.max.bytes": 3_000_000, "topic.metadata.propagation.max.ms": 100}
    refused = producer(kafka, None, **settings)
    reports: list[Any] = []
    try:
        refused.produce(topic, b"x" * size, on_delivery=lambda error, _: reports.append(error))
        refused.flush(10)
    except confluent_kafka.KafkaException as raised:
        reports.append(raised.args[0])
    assert reports[0].name() in (name, "UNKNOWN_TOPIC_OR_PART" if name == "_UNKNOWN_TOPIC" else name)
    assert kafka.stored == []


def test_offsets_are_found_by_time(kafka: KafkaReceiver) -> None:
    made = producer(kafka)
    for time_ms in (1_000, 2_000, 3_000):
        made.begin_transaction()
        made.produce(TOPIC, b"x", timestamp=time_ms)
        made.produce(TOPIC, b"y", timestamp=time_ms + 1)
        made.commit_transaction(10)
    reader = confluent_kafka.Consumer({"bootstrap.servers": kafka.address, "group.id": "g", "logger": Silent()})
    found = []
    for time_ms in (0, 1_001, 1_002, 3_001, 3_002):
        (place,) = reader.offsets_for_times([confluent_kafka.TopicPartition(TOPIC, 0, time_ms)], timeout=10)
        found.append(place.offset)
    reader.close()
    assert found == [0, 1, 3, 7, -1], "markers are no records, and the end is no offset"


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x00\x00\x00",
        b"\x7f\xff\xff\xff",
        struct.pack(">ihhi", 10, 99, 0, 1) + b"\xff\xff",  # no such request
        struct.pack(">ihhi", 10, 3, 4, 1) + b"\xff\xff",  # cut
        struct.pack(">ihhi", 12, 0, 99, 1) + b"\xff\xff\x00\x00",  # no such version
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_it_hangs_up_on_what_is_no_kafka(kafka: KafkaReceiver, request_: bytes) -> None:
    with socket.create_connection((kafka.listener.host, kafka.listener.port), timeout=10) as sock:
        sock.sendall(request_)
        try:
            answered = sock.recv(100)
        except ConnectionResetError:
            answered = b""
    assert answered == b""


def test_checksums_are_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert marker(7, 1, is_commit=True, now_ms=5).is_control
