"""Simulated destinations of three kinds: each keeps what it took with the request it came in, and whether its answer can have
been heard. What they have in common with the real ones is how they answer; their journals are for the laws."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flicker_dagster.simulator.server import Request, Response


@dataclass
class Arrival:
    """One request that was taken, or the part of it that was. `open` says that its answer was not heard, or heard and lost
    before it was written down: the one arrow that cannot be closed from outside."""

    step: int
    key: str
    digest: str
    ids: tuple[str, ...]
    machine: str = ""
    open: bool = False
    told: bool = False  # the ledger knows what it held
    left: bool = False  # its machine died, was cut off or was not heard of before the ledger knew
    handed_over: frozenset[str] = frozenset()  # what of it another machine had sent that nobody else could know of
    confirmed: bool = True  # False until a destination that says so later has said it


@dataclass(frozen=True)
class Manners:
    """How destinations are: the most events they take in one request (413 above), whether `http` knows a key again, and
    what else they do not take."""

    most_events: int = 1_000
    heeds_keys: bool = False
    poison: bool = False  # events marked as poison are refused: by `http` with all that comes in the same request
    throttles: int = 0  # `elasticsearch` throttles one event in so many, 0 for none
    acks_after: int = 0  # `splunk_hec` confirms at so many-th question
    forgets: int = 0  # and loses every so many-th request before it is indexed, 0 for none


class Siem(ABC):
    """What destinations have in common. Answers planned in `answers` come first, one a request."""

    #: Does it refuse an id that it has, so that nothing is ever twice?
    knows_ids = False

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.step = 0  # the script's, for traces
        self.machine = ""  # whose request it is
        self.under_way = (
            ""  # the machine that was paused after it had made sure of its lease, with its request on the way
        )
        self.arrivals: list[Arrival] = []
        self.answers: list[int] = []  # statuses of the next requests, 0 for none of its own
        self.unheard: list[Arrival] = []  # taken, and not yet written down by the machine that sent it

    def handle(self, request: Request) -> Response:
        planned = self.answers.pop(0) if self.answers else 0
        if planned:
            return Response.json({"error": f"simulated {planned}"}, planned)
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        try:
            return self.take(request, body)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            return Response.json({"error": f"cannot be read: {error}"}, 400)

    @abstractmethod
    def take(self, request: Request, body: bytes) -> Response: ...

    def keep(self, key: str, body: bytes, marks: Sequence[str]) -> Arrival:
        digest = hashlib.blake2b(body, digest_size=8).hexdigest()
        arrival = Arrival(self.step, key, digest, tuple(marks), self.machine)
        elsewhere = [a for a in self.arrivals if a.machine != self.machine]
        told = {mark for a in self.arrivals if a.told for mark in a.ids}
        unknown = {mark for a in elsewhere if a.left or not a.confirmed for mark in a.ids}
        unknown |= {mark for a in elsewhere if a.open for mark in a.ids} - told  # whose answer was not heard there
        if self.under_way == self.machine:
            unknown = {mark for a in elsewhere for mark in a.ids}
            self.under_way = ""
        arrival.handed_over = frozenset(unknown.intersection(marks))
        self.arrivals.append(arrival)
        self.unheard.append(arrival)
        return arrival

    def known(self, key: str, body: bytes) -> bool:
        digest = hashlib.blake2b(body, digest_size=8).hexdigest()
        return any(a.key == key and a.digest == digest for a in self.arrivals)

    def ledger_knows(self, machine: str) -> None:
        """A delivery of this machine's ended, well or not: what it settled is in the ledger."""
        for arrival in self.arrivals:
            if arrival.machine == machine and arrival.confirmed and not arrival.open:
                arrival.told, arrival.left = True, False

    def left_by(self, machine: str) -> None:
        """The machine is heard of no more: what the ledger does not know yet, nobody else can know."""
        for arrival in self.arrivals:
            if arrival.machine == machine and not arrival.told:
                arrival.left = True

    def all_open(self, machine: str) -> None:
        """The machine died, or could not write down what it heard."""
        for arrival in self.unheard:
            arrival.open = arrival.open or arrival.machine == machine
        self.unheard = [arrival for arrival in self.unheard if arrival.machine != machine]

    def written_down(self, machine: str) -> None:
        """The machine wrote down an answer: the first that it heard. One that confirms several requests is written down
        request by request, in the order in which it names them."""
        first = next((arrival for arrival in self.unheard if arrival.machine == machine), None)
        self.unheard = [arrival for arrival in self.unheard if arrival is not first]


class HttpSiem(Siem):
    """Takes or refuses what comes together."""

    def take(self, request: Request, body: bytes) -> Response:
        events = events_of(body)
        if len(events) > self.manners.most_events:
            return Response.json({"error": "too many events"}, 413)
        if self.manners.poison and any(event.get("poison") for event in events):
            return Response.json({"error": "an event is not acceptable"}, 400)
        key = request.headers.get("idempotency-key", "")
        if not (self.manners.heeds_keys and self.known(key, body)):
            self.keep(key, body, [event["mark"] for event in events])
        return Response(200, json.dumps({"accepted": len(events)}).encode())


class BulkSiem(Siem):
    """Answers each event by itself, and knows the ids that it has."""

    knows_ids = True

    def __init__(self, manners: Manners) -> None:
        super().__init__(manners)
        self._ids: set[str] = set()
        self._chance = random.Random(manners.throttles)

    def take(self, request: Request, body: bytes) -> Response:
        lines = [msgspec.json.decode(line) for line in body.splitlines()]
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        if len(pairs) > self.manners.most_events:
            return Response(413, b"")
        items, taken = [], []
        for action, document in pairs:
            event_id, event = action["create"]["_id"], json.loads(document["event"]["original"])
            items.append(self._item(event_id, event))
            if items[-1]["create"]["status"] == 201:
                self._ids.add(event_id)
                taken.append(event["mark"])
        if taken:
            self.keep("", body, taken)
        errors = any(item["create"]["status"] >= 400 for item in items)
        return Response.json({"took": 1, "errors": errors, "items": items})

    def _item(self, event_id: str, event: dict[str, Any]) -> dict[str, Any]:
        status, error = 201, None
        if event_id in self._ids:
            status, error = 409, "version_conflict_engine_exception"
        elif self.manners.poison and event.get("poison"):
            status, error = 400, "document_parsing_exception"
        elif self.manners.throttles and self._chance.random() < 1 / self.manners.throttles:
            status, error = 429, "es_rejected_execution_exception"
        found: dict[str, Any] = {"_id": event_id, "status": status}
        return {"create": found | ({} if error is None else {"error": {"type": error, "reason": "simulated"}})}


class HecSiem(Siem):
    """Takes what comes together, and says later what it has indexed: once, by channel and number."""

    def __init__(self, manners: Manners) -> None:
        super().__init__(manners)
        self._channels: dict[str, list[Arrival]] = {}
        self._asked: dict[tuple[str, int], int] = {}
        self._taken = 0

    def take(self, request: Request, body: bytes) -> Response:
        channel = request.headers.get("x-splunk-request-channel", "") or request.query.get("channel", "")
        if request.path.endswith("/ack"):
            numbers = msgspec.json.decode(body)["acks"]
            return Response.json({"acks": {str(number): self._confirms(channel, number) for number in numbers}})
        marks = [record["event"]["mark"] for record in _records(body)]
        if len(marks) > self.manners.most_events:
            return Response(413, b"")
        for before in self.arrivals:  # one that was never confirmed is sent again once its receipt has expired
            before.open = before.open or not before.confirmed
        arrival = self.keep("", body, marks)
        arrival.confirmed = False
        self._taken += 1
        if self.manners.forgets and self._taken % self.manners.forgets == 0:
            self.arrivals.remove(arrival)  # never indexed, and never confirmed
            self.unheard.remove(arrival)
        numbered = self._channels.setdefault(channel, [])
        numbered.append(arrival)
        return Response.json({"text": "Success", "code": 0, "ackId": len(numbered) - 1})

    def all_open(self, machine: str) -> None:
        """A confirmation that nobody heard is none: only this machine waits for what it sent, and another cannot know."""
        for arrival in self.unheard:
            if arrival.machine == machine:
                arrival.confirmed = False
        super().all_open(machine)

    def _confirms(self, channel: str, number: int) -> bool:
        numbered = self._channels.get(channel, [])
        if number >= len(numbered) or numbered[number] not in self.arrivals:
            return False
        self._asked[channel, number] = asked = self._asked.get((channel, number), 0) + 1
        arrival = numbered[number]
        if asked == self.manners.acks_after + 1:
            arrival.machine, arrival.confirmed = self.machine, True
            self.unheard.append(arrival)  # said once: where this answer is lost, it comes again
            return True
        return False


KINDS: dict[str, type[Siem]] = {"http": HttpSiem, "elasticsearch": BulkSiem, "splunk_hec": HecSiem}


def events_of(body: bytes) -> list[dict]:
    """The events of an array, of lines, or of envelopes in either."""
    found = msgspec.json.decode(body) if body[:1] == b"[" else [msgspec.json.decode(line) for line in body.splitlines()]
    return [event["event"] if isinstance(event.get("event"), dict) else event for event in found]


def _records(body: bytes) -> list[dict]:
    """JSON objects one behind the other."""
    decoder, text, at, found = json.JSONDecoder(), body.decode(), 0, []
    while at < len(text):
        record, at = decoder.raw_decode(text, at)
        found.append(record)
        while at < len(text) and text[at].isspace():
            at += 1
    return found
