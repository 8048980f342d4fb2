"""The broker: its topics, its transactions, who may come in, and the faults it is to show."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from flicker_dagster.simulator.faults import take_due
from flicker_dagster.simulator.kafka.connections import Listener
from flicker_dagster.simulator.kafka.errors import Code
from flicker_dagster.simulator.kafka.logs import Partition, Topic
from flicker_dagster.simulator.kafka.requests import APIS, Connection, is_topic_name
from flicker_dagster.simulator.kafka.transactions import Coordinator


@dataclass
class Fault:
    """What happens to requests of one kind. `cut_before`: hung up before anything is done; `cut_after`: done, and hung up;
    `silent`: done, and never answered; `error`: not done, answered by `code`."""

    api: str
    kind: str
    code: Code = Code.NONE
    count: int | None = 1
    share: float = 1.0
    after: int = 0
    do: Callable[[], None] | None = None


class Broker:
    """One node that leads everything. `users` or `token_is_right` make it ask for SASL, `tls` for TLS."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        users: dict[str, str] | None = None,
        mechanisms: tuple[str, ...] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
        token_is_right: Callable[[str], bool] | None = None,
        tls: ssl.SSLContext | None = None,
        creates_topics: bool = False,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
    ) -> None:
        self.topics: dict[str, Topic] = {}
        self.users = users or {}
        self.mechanisms = mechanisms
        self.token_is_right = token_is_right or (lambda _: False)
        self.asks_who = users is not None or token_is_right is not None
        self.creates_topics = creates_topics
        self.poison: bytes | None = None
        self.requests: dict[str, int] = dict.fromkeys(APIS, 0)
        self.lock = threading.Condition()
        self.coordinator = Coordinator(self.topics, clock)
        self._faults: list[Fault] = []
        self._random = Random(seed)
        self.listener = Listener(lambda: Connection(self).answer, host=host, port=port, tls=tls)

    @property
    def address(self) -> str:
        return f"{self.listener.host}:{self.listener.port}"

    def create_topic(self, name: str, *, partitions: int = 1, max_message_bytes: int = 1_048_588) -> Topic:
        self.topics[name] = Topic([Partition() for _ in range(partitions)], max_message_bytes)
        return self.topics[name]

    def plan(self, fault: Fault) -> None:
        with self.lock:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        with self.lock:
            self._faults.clear()

    def close(self) -> None:
        self.listener.close()

    def take_fault(self, api: str) -> Fault | None:
        """The fault of this request, if it has one."""
        with self.lock:
            return take_due(self._faults, self._random, fits=lambda fault: fault.api == api)

    def topic(self, name: str) -> Topic | None:
        if name not in self.topics and self.creates_topics and is_topic_name(name):
            self.create_topic(name)
        return self.topics.get(name)
