"""`type: kafka` against a broker of Apache Kafka: exactly once through kills, lost answers and take-overs; refusals."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from flicker_dagster.deliver.destinations.kafka import Kafka as Destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Rejected, Split
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import (
    another_process,
    drains,
    opened,
    read,
    shared_number,
    uids_read,
)
from flicker_dagster_tests.real.kafka import Kafka
from flicker_dagster_tests.waiting import until

_numbers = count()
TIMEOUT_MS = 20_000


class Topics:
    """A topic for events and one for progress, of a test's own, on a broker."""

    def __init__(self, kafka: Kafka, **settings: str) -> None:
        self.brokers = kafka.bootstrap
        number = next(_numbers)
        self.events, self.progress = f"events-{number}", f"progress-{number}"
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        made = admin.create_topics(
            [
                NewTopic(self.events, num_partitions=3, config=settings),
                NewTopic(self.progress, num_partitions=4, config={"retention.ms": "2592000000"}),
            ]
        )
        for each in made.values():
            each.result(60)
        until(lambda: all(_is_known(admin, topic) for topic in (self.events, self.progress)), "the topics have leaders")
        self.keys: dict[str, Any] = {
            "topic": self.events,
            "progress_topic": self.progress,
            "compression": "zstd",
            "timeout_ms": TIMEOUT_MS,
            "transactional_id_prefix": f"flicker-{number}",
        }

    def open(self, **changes: Any) -> Destination:
        return opened(changes.pop("brokers", self.brokers), **{**self.keys, **changes})

    def uids(self, **how: Any) -> Counter[str]:
        return uids_read(self.brokers, topic=self.events, **how)


def _is_known(admin: AdminClient, topic: str) -> bool:
    found = admin.list_topics(topic, timeout=60).topics[topic]
    return found.error is None and all(each.leader >= 0 for each in found.partitions.values())


def expected(lots: list[Lot]) -> Counter[str]:
    return Counter(uid for lot in lots for uid in lot.uids)


@pytest.fixture
def topics(kafka: Kafka) -> Topics:
    return Topics(kafka)


def test_ten_thousand_events_each_once_byte_for_byte(topics: Topics) -> None:
    lots = lots_of(10_000, size=1_000)
    drained = drain(MemoryQueue(lots), topics.open)
    assert drained.done, drained.last_words
    found = read(topics.brokers, topic=topics.events)
    assert sorted(message.value() for message in found) == sorted(event for lot in lots for event in lot.events)
    assert topics.uids() == expected(lots)
    assert drain(MemoryQueue(lots), topics.open).reports[0].duplicate == 10_000, "known to the next delivery"
    assert topics.uids() == expected(lots)


@pytest.mark.parametrize("lots_before", [1, 2, 5, 25, 60, 100])
def test_a_process_that_is_killed_at_any_moment(topics: Topics, lots_before: int) -> None:
    """Of 150 lots so many are settled before; where within the next ones it dies is as it happens."""
    lots = lots_of(3_000, size=20)
    settled = shared_number()
    with another_process(drains, topics.brokers, 3_000, 20, topics.keys, settled) as process:
        until(lambda: settled.value >= lots_before or not process.is_alive(), "so many lots are settled")
        process.kill()  # one that has ended by now has left nothing to do, which is as good a case
        process.join(60)
    drained = drain(MemoryQueue(lots), topics.open, runs=5)
    assert drained.done, drained.last_words
    assert topics.uids() == expected(lots)


def test_connections_that_are_cut_again_and_again(topics: Topics) -> None:
    lots = lots_of(2_000, size=10)
    # The library needs up to 1.7 s to be connected again: with a cut each second it would be luck when all is done.
    with cut_every(2.5, topics.brokers) as (brokers, cuts):
        drained = drain(MemoryQueue(lots), lambda: topics.open(brokers=brokers), runs=20)
    assert drained.done, drained.last_words
    assert cuts
    assert topics.uids() == expected(lots)


def test_a_process_that_was_taken_over_is_fenced(topics: Topics) -> None:
    lots = lots_of(60, size=20)
    old, new = topics.open(), topics.open()
    assert isinstance(old.send(lots[0]), Delivered)
    assert isinstance(new.send(lots[1]), Delivered)
    refused = old.send(lots[2])
    assert isinstance(refused, Blocked)
    assert "another process sends for this lane" in refused.why
    assert new.send(lots[0]) == Duplicate("committed before")
    assert isinstance(new.send(lots[2]), Delivered)
    old.close()
    new.close()
    assert topics.uids() == expected(lots)


def test_what_the_topic_takes_for_too_large_comes_down_to_the_one_guilty_event(kafka: Kafka) -> None:
    topics = Topics(kafka, **{"max.message.bytes": "50000"})
    guilty = 37
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))  # what no compression makes small
    lots = lots_of(200, make=lambda n: event_of(n, detail=text if n == guilty else "x"))
    destination = topics.open(compression="none")
    assert isinstance(destination.send(lots[0]), Split)
    assert isinstance(destination.send(lots[0].part([guilty])), Split | Rejected)
    destination.close()
    drained = drain(MemoryQueue(lots), lambda: topics.open(compression="none"), runs=3)
    assert (drained.delivered, drained.dead, drained.done) == (199, 1, True), drained.last_words
    assert json.loads(drained.letters.kept[0].event)["id"] == f"e{guilty:06d}"
    assert set(topics.uids().values()) == {1}


def test_events_without_time_from_long_ago_and_from_the_future_are_taken(topics: Topics) -> None:
    lot = lot_of([event_of(n) for n in range(4)], times_ms=[None, -5, 1, 2**50])
    destination = topics.open()
    assert destination.send(lot) == Delivered("committed")
    destination.close()
    assert topics.uids() == expected([lot])


@pytest.mark.parametrize("topic", ["not a topic", "x" * 300])
def test_a_topic_that_cannot_be_is_blocked(topics: Topics, topic: str) -> None:
    destination = topics.open(topic=topic)
    outcome = destination.send(lots_of(3)[0])
    destination.close()
    assert isinstance(outcome, Blocked), outcome
    assert "check the topic's name" in outcome.why


def test_a_transaction_time_out_above_the_brokers_is_blocked(topics: Topics) -> None:
    destination = topics.open(transaction_timeout_ms=3_600_000)
    outcome = destination.send(lots_of(3)[0])
    destination.close()
    assert isinstance(outcome, Blocked), outcome
    assert "lower transaction_timeout_ms" in outcome.why


def test_a_lane_that_stood_still_for_longer_than_its_transaction_may_stops_and_the_next_goes_on(topics: Topics) -> None:
    """Fenced by nobody but the broker itself: nothing of what was given up is visible, and the next delivery sends it."""
    lots = lots_of(40, size=20)
    destination = topics.open(timeout_ms=1_000, transaction_timeout_ms=1_500)
    assert isinstance(destination.send(lots[0]), Delivered)
    session = destination._session
    assert session is not None
    session._producer.begin_transaction()
    session._producer.produce(topics.events, lots[1].events[0], headers={"event_uid": "left-open"})
    assert session._producer.flush(30) == 0
    until(
        lambda: "left-open" in topics.uids(committed=False) and not _is_open(topics),
        "the broker gives the transaction up",
        patience_s=120,
    )
    with pytest.raises(confluent_kafka.KafkaException):
        session._producer.commit_transaction(10)
    destination.close()
    assert drain(MemoryQueue(lots), topics.open, runs=3).done
    assert topics.uids() == expected(lots)


def _is_open(topics: Topics) -> bool:
    """Is there a transaction in front of the end of a partition?"""
    reader = confluent_kafka.Consumer(
        {"bootstrap.servers": topics.brokers, "group.id": "g", "isolation.level": "read_committed"}
    )
    other = confluent_kafka.Consumer(
        {"bootstrap.servers": topics.brokers, "group.id": "g", "isolation.level": "read_uncommitted"}
    )
    try:
        places = [confluent_kafka.TopicPartition(topics.events, number) for number in range(3)]
        ends = [[each.get_watermark_offsets(place, timeout=10)[1] for place in places] for each in (reader, other)]
        return ends[0] != ends[1]
    finally:
        reader.close()
        other.close()


# -- a way to the broker that is cut


@contextmanager
def cut_every(seconds: float, brokers: str) -> Iterator[tuple[str, list[float]]]:
    """An address that leads to the broker and hangs up on everybody again and again, and when it did.

    A broker names its own port in its answers, and clients go on with that; so it is replaced in what comes back.
    """
    host, _, port = brokers.partition(":")
    target = (host, int(port))
    listener = socket.create_server(("127.0.0.1", 0))
    ours = listener.getsockname()[1]
    cuts: list[float] = []
    open_: set[socket.socket] = set()
    over = threading.Event()
    renamed = (target[1].to_bytes(4, "big"), ours.to_bytes(4, "big"))

    def pump(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(change(data))
        except OSError:
            pass
        finally:
            for each in (source, sink):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def accept() -> None:
        while not over.is_set():
            try:
                client, _ = listener.accept()
                server = socket.create_connection(target)
            except OSError:
                continue
            open_.update((client, server))
            for arguments in ((client, server, bytes), (server, client, lambda data: data.replace(*renamed))):
                threading.Thread(target=pump, args=arguments, daemon=True).start()

    def cut() -> None:
        while not over.wait(seconds):
            if open_:
                cuts.append(time.monotonic())
            for each in list(open_):
                open_.discard(each)
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    threads = [threading.Thread(target=each, daemon=True) for each in (accept, cut)]
    for thread in threads:
        thread.start()
    try:
        yield f"127.0.0.1:{ours}", cuts
    finally:
        over.set()
        listener.close()
