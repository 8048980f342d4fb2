"""The simulated SIEM: it keeps what it took with the request it came in, and whether its answer can have been heard."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass

import msgspec

from flicker_dagster.simulator.server import Request, Response


@dataclass
class Arrival:
    """One request that was taken. `open` says that its answer was not heard, or heard and lost before it was written
    down: the one arrow that cannot be closed from outside."""

    step: int
    key: str
    digest: str
    ids: tuple[str, ...]
    open: bool = False


@dataclass(frozen=True)
class Manners:
    """How the SIEM is: the most events it takes in one request (413 above), and whether it knows a key again."""

    most_events: int = 1_000
    heeds_keys: bool = False
    poison: bool = False  # it refuses events marked as poison, with all that comes in the same request (400)


class Siem:
    """One SIEM for all streams; a stream's path is its own. Answers planned in `answers` come first, one a request."""

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.step = 0  # the script's, for traces
        self.arrivals: list[Arrival] = []
        self.answers: list[int] = []  # statuses of the next requests, 0 for none of its own
        self.unheard: list[Arrival] = []  # taken, and not yet written down by the machine that sent it

    def handle(self, request: Request) -> Response:
        planned = self.answers.pop(0) if self.answers else 0
        if planned:
            return Response.json({"error": f"simulated {planned}"}, planned)
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        try:
            events = events_of(body)
        except (msgspec.DecodeError, KeyError) as error:
            return Response.json({"error": f"cannot be read: {error}"}, 400)
        if len(events) > self.manners.most_events:
            return Response.json({"error": "too many events"}, 413)
        if self.manners.poison and any(event.get("poison") for event in events):
            return Response.json({"error": "an event is not acceptable"}, 400)
        key = request.headers.get("idempotency-key", "")
        arrival = Arrival(
            step=self.step,
            key=key,
            digest=hashlib.blake2b(body, digest_size=8).hexdigest(),
            ids=tuple(event["mark"] for event in events),
        )
        known = self.manners.heeds_keys and any(a.key == key and a.digest == arrival.digest for a in self.arrivals)
        if not known:
            self.arrivals.append(arrival)
            self.unheard.append(arrival)
        return Response(200, json.dumps({"accepted": len(events)}).encode())


def events_of(body: bytes) -> list[dict]:
    """The events of an array, of lines, or of envelopes in either."""
    found = msgspec.json.decode(body) if body[:1] == b"[" else [msgspec.json.decode(line) for line in body.splitlines()]
    return [event["event"] if isinstance(event.get("event"), dict) else event for event in found]
