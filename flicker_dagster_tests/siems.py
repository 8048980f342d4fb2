"""SIEMs of three kinds for tests with real processes, which remember enough to judge what came twice.

What counts is the vendor's own event, whichever id it was sent under.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flicker_dagster.simulator.receiver import ID_FIELDS
from flicker_dagster.simulator.receivers.api import Stored
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster.simulator.server import Request, Response

API_KEY = "elastic-key"
TOKEN = "hec-token"

#: What Flicker sees of an answer with one of these faults is no answer.
UNANSWERED = ("commit_then_cut", "cut", "endless")


def vendor_id(event: dict[str, Any]) -> str:
    """The id that the vendor gave an event."""
    return str(next(event[name] for name in ID_FIELDS if event.get(name) is not None))


class Elastic(ElasticsearchReceiver):
    """A cluster in which each stream has a data stream of its own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(authorizations=(f"ApiKey {API_KEY}",), **settings)

    def events(self, dataset: str) -> Counter[str]:
        """How many documents there are of each of the vendor's events."""
        name = f"logs-{dataset}-default"
        found = self.documents(name).values() if name in self.state.streams else ()
        return Counter(vendor_id(json.loads(document["event"]["original"])) for document in found)


@dataclass(eq=False)
class Sent:
    """A request that the collector stored, at `at_s` (monotonic) as its `turn`th one, and what Flicker was told about it."""

    at_s: float
    turn: int
    events: list[tuple[str, str]] = field(default_factory=list)  # source and vendor's id
    answered: bool = True
    ack: tuple[str, int] | None = None  # channel and id
    confirmed_at_s: float | None = None
    confirmed_turn: int | None = None


class Splunk(SplunkHecReceiver):
    """A collector whose token acknowledges. `turn` counts everything that it was asked."""

    def __init__(self, **settings: Any) -> None:
        self.sent: list[Sent] = []
        self.turn = 0
        self._here = threading.local()
        super().__init__(tokens={TOKEN: HecToken(ack=True)}, **settings)

    def store(self, events: list[Stored]) -> None:
        super().store(events)
        self._here.stored = [(str(each.beside["source"]), vendor_id(json.loads(each.event))) for each in events]

    def handle(self, request: Request) -> Response:
        with self.lock:
            self.turn += 1
            turn = self.turn
        self._here.stored = []
        response = super().handle(request)
        told = _read(response)
        with self.lock:
            if self._here.stored:
                sent = Sent(time.monotonic(), turn, self._here.stored, answered="ackId" in told)
                if sent.answered:
                    sent.ack = request.headers["x-splunk-request-channel"], told["ackId"]
                self.sent.append(sent)
            elif "acks" in told:
                channel = request.headers["x-splunk-request-channel"]
                self._confirm({(channel, int(ack_id)) for ack_id, said in told["acks"].items() if said}, turn)
        return response

    def events(self, source: str) -> Counter[str]:
        with self.lock:
            return Counter(event for sent in self.sent for of, event in sent.events if of == source)

    def repeats(self, source: str) -> list[tuple[Sent, Sent]]:
        """For each event that came again: the request it was in before, and the one it came in again."""
        last: dict[str, Sent] = {}
        found = []
        with self.lock:
            for sent in self.sent:
                for of, event in sent.events:
                    if of == source:
                        if event in last:
                            found.append((last[event], sent))
                        last[event] = sent
        return found

    def spoilt(self) -> set[str]:
        """Channels on which an id came twice: nothing is to be believed of them."""
        with self.lock:
            times = Counter(sent.ack for sent in self.sent if sent.ack is not None)
        return {ack[0] for ack, count in times.items() if count > 1}

    def _confirm(self, acks: set[tuple[str, int]], turn: int) -> None:
        for sent in self.sent:
            if sent.ack in acks and sent.confirmed_turn is None:
                sent.confirmed_at_s, sent.confirmed_turn = time.monotonic(), turn


@dataclass(frozen=True)
class Deaths:
    """When Flicker died: moments (monotonic), each good for what was answered up to `grace_s` before it, or turns of the
    collector, each good for that one."""

    at_s: Sequence[float] = ()
    grace_s: float = 0.0
    turns: frozenset[int] = frozenset()

    def came_just_after(self, at_s: float | None, turn: int | None) -> bool:
        return turn in self.turns or (
            at_s is not None and any(0 <= death_s - at_s <= self.grace_s for death_s in self.at_s)
        )


def unexcused(
    repeats: Iterable[tuple[Sent, Sent]], *, deaths: Deaths, expires_s: float, spoilt: set[str]
) -> list[tuple[Sent, Sent]]:
    """Repeats that should not have been: the request before was answered, with a receipt that could be believed, and it was
    confirmed or had not expired, and nobody died between an answer and writing it down."""
    found = []
    for before, again in repeats:
        if not before.answered or (before.ack is not None and before.ack[0] in spoilt):
            continue
        if before.confirmed_turn is None and again.at_s - before.at_s >= expires_s:
            continue
        if deaths.came_just_after(before.at_s, before.turn):
            continue
        if deaths.came_just_after(before.confirmed_at_s, before.confirmed_turn):
            continue
        found.append((before, again))
    return found


def doubles(counts: Counter[str]) -> int:
    """Copies beyond the first of each event."""
    return counts.total() - len(counts)


def _read(response: Response) -> dict[str, Any]:
    """What a client reads of an answer: nothing, where it is cut off."""
    if response.status != 200 or (response.fault is not None and response.fault.kind in UNANSWERED):
        return {}
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
