"""A SIEM that remembers: every event it accepted, how often, under which key, and when. With faults on demand."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.arrivals import Arrival, arrivals_of, first_of
from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.server import Request, Response, Server

ID_FIELDS = ("uuid", "_document_id", "Id", "id", "event_id")
LAST_EVENTS = 8
MOST_SHOWN = 300  # characters of an event's text or id on a page
ARRIVALS = 120  # seconds of the page's sparkline


@dataclass(frozen=True)
class Taken:
    """A batch as it was last accepted: when (monotonic), and whether the SIEM answered."""

    digest: str
    at_s: float
    answered: bool


@dataclass(frozen=True)
class Repeat:
    """A batch that came again under the same key with the same bytes. Had the SIEM answered it the time before, at
    `before_s` (monotonic), somebody must have died between the answer and writing it down."""

    events: int
    before_s: float
    answered: bool


class Inbox:
    """What one path has received."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.keys: dict[str, Taken] = {}  # by Idempotency-Key
        self.batches = 0
        self.repeated_batches = 0
        self.repeats: list[Repeat] = []  # those of them under the same key and bytes
        self.repeated_otherwise = 0  # the same key with other bytes: never right
        self.last: deque[dict[str, Any]] = deque(maxlen=LAST_EVENTS)
        self.lags_s: deque[float] = deque(maxlen=500)
        self.arrivals: Counter[int] = Counter()

    @property
    def twice(self) -> int:
        """Events accepted more than once, each extra copy counted."""
        return sum(self.counts.values()) - len(self.counts)


class Receiver:
    """`POST` of a JSON array, NDJSON or envelopes to any path; gzip or plain. With `by_source`, what comes in envelopes is
    kept by their source (`/google/login`), whichever path it was sent to."""

    def __init__(
        self,
        *,
        token: str | None = None,
        max_bytes: int | None = None,
        poison: str | None = None,
        dedupe_by_key: bool = False,
        by_source: bool = False,
        journal: Path | None = None,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
    ) -> None:
        self.token = token
        self.max_bytes = max_bytes
        self.poison = poison
        self.dedupe_by_key = dedupe_by_key
        self.by_source = by_source
        self.faults = Faults(seed=seed)
        self.requests = 0
        self._clock = clock
        self._began_ms = int(clock() * 1000)
        self._lock = threading.Lock()
        #: By path, how an event of what is delivered there is told from others; by its usual id fields otherwise.
        self.identify: dict[str, Callable[[dict[str, Any]], str]] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._journal = None
        if journal is not None:
            self._replay(journal)
            self._journal = journal.open("a")
        self.server = Server(self.handle, host=host, port=port, clock=clock)

    @property
    def url(self) -> str:
        return self.server.url

    def close(self) -> None:
        self.server.close()
        if self._journal is not None:
            self._journal.close()

    def forget(self) -> None:
        """Begin anew: nothing was received."""
        with self._lock:
            self._inboxes.clear()

    def inbox(self, path: str) -> Inbox:
        with self._lock:
            return self._inboxes.setdefault(path, Inbox())

    def ids(self, path: str) -> dict[str, int]:
        """Accepted ids of a path, with how often each came."""
        inbox = self.inbox(path)
        with self._lock:
            return dict(inbox.counts)

    def handle(self, request: Request) -> Response:
        if request.path.startswith("/_siem/"):
            return self._own_pages(request)
        self.requests += 1
        fault = self.faults.take()
        if fault is not None and fault.kind not in ("commit_then_cut", "slow", "endless"):
            return self._refuse(fault)
        if self.token is not None and request.bearer() != self.token:
            return Response.json({"error": "bad token"}, 401)
        if self.max_bytes is not None and len(request.body) > self.max_bytes:
            return Response.json({"error": "too large"}, 413)
        try:
            body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
            arrived = arrivals_of(body)
        except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
            return Response.json({"error": f"cannot be read: {error}"}, 400)
        if self.poison is not None and self.poison.encode() in body:
            return Response.json({"error": "an event is not acceptable"}, 400)
        self._accept(request, body, arrived, answered=fault is None or fault.kind != "commit_then_cut")
        response = Response.json({"ok": True, "accepted": len(arrived)})
        response.fault = fault
        return response

    def stats(self) -> dict[str, Any]:
        """Per path: accepted, unique, twice, batches, repeated batches, lag, last events."""
        with self._lock:
            now_s = self._clock()
            return {path: _stats(inbox, now_s) for path, inbox in self._inboxes.items()}

    # -- inside

    def _accept(self, request: Request, body: bytes, arrived: list[Arrival], *, answered: bool) -> None:
        path = self._path(request, arrived)
        inbox = self.inbox(path)
        key = request.headers.get("idempotency-key")
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        now_s = self._clock()
        with self._lock:
            inbox.batches += 1
            before = None if key is None else inbox.keys.get(key)
            if before is not None:
                inbox.repeated_batches += 1
                inbox.repeated_otherwise += before.digest != digest
                if before.digest == digest:
                    inbox.repeats.append(Repeat(len(arrived), before.at_s, before.answered))
                if self.dedupe_by_key:
                    return
            if key is not None:
                inbox.keys[key] = Taken(digest, time.monotonic(), answered)
            identify = self.identify.get(path, id_of)
            ids = [identify(each.event) for each in arrived]
            inbox.counts.update(ids)
            times_ms = [each.time_ms for each in arrived]
            # What happened before this SIEM began is history: its age says nothing about how long events take.
            live = [ms is None or ms >= self._began_ms for ms in times_ms]
            inbox.arrivals[int(now_s)] += sum(live)
            for each, event_id in list(zip(arrived, ids))[-LAST_EVENTS:]:
                shown = {"id": event_id[:MOST_SHOWN], "time_ms": each.time_ms, "what": each.what[:MOST_SHOWN]}
                inbox.last.append(shown)
            newest_ms = [ms for ms, is_live in zip(times_ms[-20:], live[-20:]) if ms is not None and is_live]
            inbox.lags_s += [now_s - ms / 1000 for ms in newest_ms]
            if self._journal is not None:
                self._journal.write(json.dumps({"path": path, "key": key, "digest": digest, "ids": ids}) + "\n")
                self._journal.flush()

    def _path(self, request: Request, arrived: list[Arrival]) -> str:
        """A request of Flicker's holds events of one stream."""
        source = arrived[0].source if self.by_source and arrived else None
        return request.path if source is None else f"/{source}"

    def _replay(self, journal: Path) -> None:
        if not journal.exists():
            return
        for line in journal.read_text().splitlines():
            entry = json.loads(line)
            inbox = self._inboxes.setdefault(entry["path"], Inbox())
            inbox.batches += 1
            if entry["key"] is not None:
                inbox.repeated_batches += entry["key"] in inbox.keys
                inbox.keys[entry["key"]] = Taken(entry["digest"], 0.0, answered=True)
            inbox.counts.update(entry["ids"])

    def _refuse(self, fault: Fault) -> Response:
        if not fault.kind.isdigit():
            return Response(500, b"", [], fault)
        headers: list[tuple[str, str]] = []
        if fault.retry_after == "date":
            headers.append(("Retry-After", formatdate(self._clock() + fault.seconds, usegmt=True)))
        elif fault.retry_after not in ("", "none"):
            headers.append(("Retry-After", fault.retry_after))
        return Response.json({"error": f"simulated {fault.kind}"}, int(fault.kind), headers)

    def _own_pages(self, request: Request) -> Response:
        if request.path == "/_siem/stats":
            return Response.json(self.stats())
        if request.path == "/_siem/ids":
            return Response.json(self.ids(request.query.get("path", "/")))
        if request.path == "/_siem/faults":
            if request.method == "POST":
                return self._plan_faults(request.body)
            self.faults.clear()
            return Response.json({"ok": True})
        if request.path == "/_siem/clear":
            with self._lock:
                self._inboxes.clear()
            return Response.json({"ok": True})
        return Response.json({"error": "no such page"}, 404)

    def _plan_faults(self, body: bytes) -> Response:
        try:
            plans = json.loads(body)
            for plan in plans if isinstance(plans, list) else [plans]:
                self.faults.plan(**plan)
        except (ValueError, TypeError, FlickerError) as error:
            return Response.json({"error": str(error)}, 400)
        return Response.json({"ok": True})


def id_of(event: dict[str, Any]) -> str:
    """The id of an event of no certain vendor, by the fields that usually hold it."""
    found = first_of(event, ID_FIELDS)
    return hashlib.blake2b(json.dumps(event).encode()).hexdigest() if found is None else str(found)


def all_of(stats: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """What `stats` says of several paths, as of one; None where nothing came to any. The lag is that of the slowest."""
    found = [each for each in stats if each is not None]
    if not found:
        return None
    summed = ("accepted", "unique", "twice", "batches", "repeated_batches", "repeated_otherwise")
    lags = [each["lag_s"] for each in found if each["lag_s"] is not None]
    last = sorted((event for each in found for event in each["last"]), key=lambda event: event["time_ms"] or 0)
    return {
        **{key: sum(each[key] for each in found) for key in summed},
        "lag_s": max(lags, default=None),
        "last": last[::-1][:LAST_EVENTS],
        "arrivals": [sum(column) for column in zip(*(each["arrivals"] for each in found), strict=True)],
    }


def _stats(inbox: Inbox, now_s: float) -> dict[str, Any]:
    lags = sorted(inbox.lags_s)
    now = int(now_s)
    return {
        "accepted": sum(inbox.counts.values()),
        "unique": len(inbox.counts),
        "twice": inbox.twice,
        "batches": inbox.batches,
        "repeated_batches": inbox.repeated_batches,
        "repeated_otherwise": inbox.repeated_otherwise,
        "lag_s": round(lags[len(lags) // 2], 1) if lags else None,
        "last": list(inbox.last)[::-1],
        "arrivals": [inbox.arrivals.get(second, 0) for second in range(now - ARRIVALS + 1, now + 1)],
    }
