"""CrowdStrike Falcon LogScale: structured ingest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import parse_time_ms

PATH = "/api/v1/ingest/humio-structured"

#: Times further ahead are replaced by the server's own.
AHEAD_MS = 10_000


class LogScaleReceiver(ApiReceiver):
    """One repository. What is larger than `max_event_bytes` is cut, and counted in `cut`, without a word to the sender."""

    def __init__(
        self,
        *,
        token: str = "ingest-token",
        max_request_bytes: int = 32 * 1024 * 1024,
        max_event_bytes: int = 1_000_000,
        poison: str | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.token = token
        self.max_request_bytes = max_request_bytes
        self.max_event_bytes = max_event_bytes
        self.cut = 0
        super().__init__(poison=poison, seed=seed, clock=clock, host=host, port=port)

    def refusal(self, status: int, says: str) -> Response:
        return Response(status, (says or f"refused with {status}").encode(), [("Content-Type", "text/plain")])

    def take(self, request: Request) -> Response:
        if request.path != PATH:
            raise Refusal(self.refusal(404, "The requested resource could not be found."))
        if request.method != "POST":
            raise Refusal(self.refusal(405, "HTTP method not allowed"))
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refusal(self.refusal(401, "The supplied authentication is invalid"))
        batches = self.json(self.inflated(request, most=self.max_request_bytes))
        if not isinstance(batches, list):
            raise self._malformed("expected an array")
        self.store([event for batch in batches for event in self._batch(batch)])
        return Response.json({})

    # -- inside

    def _batch(self, batch: Any) -> list[Stored]:
        if not isinstance(batch, dict) or not isinstance(batch.get("events"), list):
            raise self._malformed("expected objects with events")
        tags = batch.get("tags", {})
        if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
            raise self._malformed("tags are texts")
        return [self._event(event, tags) for event in batch["events"]]

    def _event(self, event: Any, tags: dict[str, str]) -> Stored:
        if not isinstance(event, dict):
            raise self._malformed("an event is an object")
        attributes, raw = event.get("attributes", {}), event.get("rawstring")
        if not isinstance(attributes, dict) or not (raw is None or isinstance(raw, str)):
            raise self._malformed("attributes are an object, rawstring is a text")
        time_ms = self._time_ms(event)
        if raw is not None and len(raw.encode("utf-8", "surrogatepass")) > self.max_event_bytes:
            self.cut += 1
            raw = raw[: self.max_event_bytes] + "..."
        beside = {"time_ms": time_ms, "tags": tags, "attributes": attributes}
        return Stored(str(attributes.get("event_uid", "")), raw, beside)

    def _time_ms(self, event: dict[str, Any]) -> int:
        stamp, now_ms = event.get("timestamp"), int(self.clock() * 1000)
        if isinstance(stamp, int) and not isinstance(stamp, bool):
            found = stamp if "timezone" in event else None
        else:
            zoned = isinstance(stamp, str) and (stamp.endswith("Z") or stamp[-6:-5] in ("+", "-"))
            found = parse_time_ms(stamp) if zoned else None
        if found is None:
            raise self._malformed("timestamp is required: ISO 8601 with a zone, or milliseconds with a timezone")
        return now_ms if found > now_ms + AHEAD_MS else found

    def _malformed(self, why: str) -> Refusal:
        return Refusal(self.refusal(400, f"Could not handle the request: {why}"))
