"""A Kafka broker that remembers: each event that readers of committed records see, how often, and under which key."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flicker_dagster.simulator.kafka.broker import Broker
from flicker_dagster.simulator.kafka.records import Record


class KafkaReceiver(Broker):
    """A broker with a topic for events and one for progress. Batches are read here if they are not compressed, or by gzip;
    others by a client. `poison` marks records that are refused, as by a broker that checks schemas."""

    def __init__(
        self,
        *,
        topic: str = "audit-events",
        progress_topic: str = "flicker-progress",
        partitions: int = 3,
        max_message_bytes: int = 1_048_588,
        poison: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.poison = None if poison is None else poison.encode()
        self.topic_name, self.progress_name = topic, progress_topic
        self.create_topic(topic, partitions=partitions, max_message_bytes=max_message_bytes)
        self.create_topic(progress_topic, partitions=partitions)

    @property
    def stored(self) -> list[Record]:
        """Committed events, partition by partition, in order."""
        return self._committed(self.topic_name)

    @property
    def notes(self) -> list[Record]:
        return self._committed(self.progress_name)

    def counts(self) -> Counter[str]:
        """How often each event was stored, by uid."""
        return Counter((record.headers.get("event_uid") or b"").decode() for record in self.stored)

    def _committed(self, topic: str) -> list[Record]:
        with self.lock:
            return [record for partition in self.topics[topic].partitions for record in partition.committed()]
