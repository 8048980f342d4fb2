"""Netskope's events by the second in which it stored them: pages by offset within a span, that seconds may still add to.

With `iterator` also the data export, whose position Netskope keeps by a name that the reader chooses: each `next`
gives up the page before it, and `resend` gives that page again.
"""

from __future__ import annotations

import math
import random
import re
from typing import Any

from flicker_dagster.simulator.listings import by_arrival
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told

MOST = 10_000
#: What each stream is called in a path, and its events in themselves.
TYPES = {
    "audit": ("audit", "admin_audit_logs"),
    "alerts": ("alert", "nspolicy"),
    "application": ("application", "nspolicy"),
    "page": ("page", "connection"),
    "network": ("network", "network"),
}
PATH = re.compile(r"/api/v2/events/data/(\w+)")
EXPORT = re.compile(r"/api/v2/events/dataexport/(events|alerts)/(\w+)")


class Netskope(Vendor):
    name = "netskope"
    streams = tuple(TYPES)
    id_path = "_id"
    params = {"tenant": "acme", "token": "n3tsk0p3v2t0k3n"}
    quota_per_minute = 240
    tells_wait = "quota"

    def __init__(self, *, iterator: bool = False, batch: int = MOST, **options: Any) -> None:
        self.iterator, self.batch = iterator, batch
        self.places: dict[tuple[str, str], list[int]] = {}  # by path and index: where the last page began, and ended
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"{chance.getrandbits(96):024x}"
        event: dict[str, Any] = {
            "_id": event_id,
            "_insertion_epoch_timestamp": self.arriving_ms(stream, published_ms) // 1000,
            "timestamp": published_ms // 1000,
            "type": TYPES[stream][1],
            "user": f"{chance.choice(('ana', 'bo', 'chi'))}@acme.test",
            "severity_level": 2,
            "is_netskope_personnel": False,
            "count": 1,
            "organization_unit": "",
        }
        if stream == "audit":
            event["audit_log_event"] = chance.choice(("Created new admin", "Login Successful", "Edited policy"))
            event["supporting_data"] = {"data_type": "user", "data_values": [an_address(chance)]}
        else:
            event |= {"app": chance.choice(("Box", "Slack")), "alert": "yes" if stream == "alerts" else "no"}
            event["srcip"] = an_address(chance)
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        right = self.token or self.params["token"]
        return request.headers.get("netskope-api-token") == right

    def unauthorized(self) -> Response:
        return _error(401, "Unauthorized")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "API rate limit exceeded", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("ratelimit", self.per_minute, remaining, math.ceil(reset_s - self.clock()))

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.method != "GET" or not is_for(request, f"{self.params['tenant']}.goskope.com"):
            return _error(404, "no Route matched with those values")
        pulled = PATH.fullmatch(request.path)
        exported = EXPORT.fullmatch(request.path) if self.iterator else None
        kind = pulled[1] if pulled else exported[2] if exported else ""
        stream = next((name for name, (path, _) in TYPES.items() if path == kind), None)
        if stream is None:
            return _error(404, "no Route matched with those values")
        return self._pull(stream, request) if pulled else self._export(stream, request)

    def _pull(self, stream: str, request: Request) -> Response:
        unknown = request.unknown("insertionstarttime", "insertionendtime", "limit", "offset")
        if unknown:
            return _error(400, f"Unknown query parameter: {unknown[0]}")
        for name in ("insertionstarttime", "insertionendtime"):
            if not re.fullmatch("[0-9]{10}", request.query.get(name, "")):
                return _error(400, f"{name} must be epoch seconds")
        start_s, end_s = (int(request.query[name]) for name in ("insertionstarttime", "insertionendtime"))
        limit, offset = request.number("limit", MOST, least=1, most=MOST), request.number("offset", 0, least=0)
        if start_s > end_s:
            return _error(400, "insertionstarttime must not be after insertionendtime")
        if limit is None or offset is None:
            return _error(400, f"limit must be between 1 and {MOST}, offset 0 or more")
        events = by_arrival(self.emitters[stream], start_s * 1000, end_s * 1000 + 999)
        return document({"ok": 1, "result": raw(events)[offset : offset + limit]})

    def _export(self, stream: str, request: Request) -> Response:
        operation, index = request.query.get("operation", ""), request.query.get("index", "")
        if request.unknown("operation", "index") or not re.fullmatch("next|resend|[0-9]{10}", operation) or not index:
            return _error(400, "operation must be next, resend or epoch seconds, and index a name")
        stored = self.emitters[stream].stored()
        key = (request.path, index)
        with self._lock:
            if operation not in ("next", "resend"):
                before = by_arrival(self.emitters[stream], None, int(operation) * 1000, end_inclusive=False)
                self.places[key] = [len(before), len(before)]
            elif key not in self.places:
                return _error(400, "no such index: begin with an epoch")
            begin, end = self.places[key]
            if operation != "resend":
                begin, end = end, min(end + self.batch, len(stored))
            self.places[key] = [begin, end]
        page = stored[begin:end]
        hwm = max((event.published_ms // 1000 for event in page), default=None)
        return document({"ok": 1, "result": raw(page), "wait_time": 0 if page else 30, "timestamp_hwm": hwm})


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"ok": 0, "status": status, "message": message}, status, headers)
