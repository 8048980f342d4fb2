"""The Kafka destination before a broker: opened as a lane does, read back by an independent client, and run in a process of
its own, to be killed."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import confluent_kafka

from flicker_dagster.config.destinations.kafka import KafkaDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.kafka import Kafka
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.kafka import KafkaReceiver
from flicker_dagster.types import Settled
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lots_of

TOPIC, PROGRESS = "audit-events", "flicker-progress"
EVENTS, SIZE = 60, 20


def opened(brokers: str, *, context: dict[str, Any] | None = None, **keys: Any) -> Kafka:
    """Without compression, so that the receiver reads what it holds; a request has 5 s."""
    record = {"type": "kafka", "brokers": [brokers], "topic": TOPIC, "compression": "none", "timeout_ms": 5_000, **keys}
    config = KafkaDestination.model_validate(record)
    assert config.faults() == []
    return Kafka(config, LaneContext(**{"stream": "okta", "lane": "kafka", **(context or {})}))


def send(lot: Lot, brokers: str, **keys: Any) -> Any:
    """One request of a destination opened for it."""
    destination = opened(brokers, **keys)
    try:
        return destination.send(lot)
    finally:
        destination.close()


@contextmanager
def broker(**options: Any) -> Iterator[KafkaReceiver]:
    receiver = KafkaReceiver(**options)
    try:
        yield receiver
    finally:
        receiver.close()


def read(brokers: str, *, topic: str = TOPIC, committed: bool = True, **settings: Any) -> list[Any]:
    """Every record of a topic from its beginning, as librdkafka's own reader gives them."""
    reader = confluent_kafka.Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "judge",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "logger": Silent(),
            **settings,
        }
    )
    try:
        partitions = reader.list_topics(topic, timeout=30).topics[topic].partitions
        reader.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
        found, ended = [], 0
        while ended < len(partitions):
            message = reader.poll(30)
            assert message is not None, "the reader got nothing within 30 s"
            if message.error() is None:
                found.append(message)
            else:
                assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
                ended += 1
        return found
    finally:
        reader.close()


def uids_read(brokers: str, **how: Any) -> Counter[str]:
    """How often each event is in the topic, for readers of committed records."""
    return Counter(dict(message.headers())["event_uid"].decode() for message in read(brokers, **how))


class Silent:
    """A logger for clients of a test."""

    def log(self, *_: Any) -> None:
        """What a client says of its connections is not what is tested."""


# -- a process of its own


def drains(brokers: str, count: int, size: int, keys: dict[str, Any], settled: Any = None) -> None:
    """Deliver so many events, with a queue that nobody has written down. `settled` is a shared number: the parts so far."""
    queue = MemoryQueue(lots_of(count, size=size)) if settled is None else _Counting(lots_of(count, size=size), settled)
    drain(queue, lambda: opened(brokers, **keys))


class _Counting(MemoryQueue):
    """Lets another process know how far this one is."""

    def __init__(self, lots: list[Lot], settled: Any) -> None:
        super().__init__(lots)
        self._settled = settled

    def settle(self, lot: Lot, settled: Settled) -> None:
        super().settle(lot, settled)
        with self._settled.get_lock():
            self._settled.value += 1


def shared_number() -> Any:
    """A number that `another_process` may be given."""
    return _processes().Value("l", 0)


@contextmanager
def another_process(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """A process that runs this, forked from a server that has the modules loaded and no thread."""
    process = _processes().Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _processes() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def expected(count: int = EVENTS, size: int = SIZE) -> Counter[str]:
    """Each event of so many, once."""
    return Counter(uid for lot in lots_of(count, size=size) for uid in lot.uids)
