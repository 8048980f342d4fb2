"""monday.com's audit log: numbered pages, newest first, times as JSON inside a parameter, rows without an id."""

from __future__ import annotations

import json
import random
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address, whole_seconds
from flicker_dagster.simulator.pages import SECONDS_Z, compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, content_of

PATH = "/audit-api/get-logs"
FILTERS = ("start_time", "end_time", "user_id", "events", "ip_address")
EVENTS = ("login", "logout", "failed-login", "export-board", "invite-user")


class Monday(Vendor):
    """Rows hold no id and whole seconds: two of them may be equal and are two events."""

    name = "monday"
    id_path = None
    params = {"account": "acme", "token": "audit-9c1d0e7f"}
    traits = frozenset({"late"})
    quota_per_minute = 50
    tells_wait = "nowhere"
    least_page_size = 100
    equal_rows = True

    def __init__(self, **options: Any) -> None:
        self._last: dict[str, Any] = {}
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        user, when = chance.randrange(654_000, 654_500), whole_seconds(published_ms)
        event: dict[str, Any] = {
            "timestamp": when,
            "account_id": 123456,
            "user_id": user,
            "event": chance.choice(EVENTS),
            "slug": self.params["account"],
            "ip_address": an_address(chance),
            "user_agent": "Mozilla/5.0",
            "client_name": "Chrome",
            "client_version": "126",
            "os_name": "Mac",
            "os_version": "15",
            "device_name": None,
            "device_type": "desktop",
            "activity_metadata": {"user_id": user, "user_name": "Ana", "session": number},
        }
        if self._last.get("timestamp") == when and chance.random() < 0.2:
            event = self._last
        self._last = event
        return content_of(event), compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == self.params["token"]

    def unauthorized(self) -> Response:
        return _error(401, "Not Authenticated")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Rate limit exceeded: 50 requests per minute", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, f"{self.params['account']}.monday.com"):
            return _error(404, "Not Found")
        if request.method != "GET":
            return _error(405, "Method Not Allowed")
        unknown = request.unknown("page", "per_page", "filters")
        if unknown:
            return _error(400, f"unknown parameter {unknown[0]}")
        number, size = request.number("page", 1, least=1), request.number("per_page", 100, least=100, most=1000)
        if number is None:
            return _error(400, "page must be a positive number")
        if size is None:
            return _error(400, "per_page must be between 100 and 1000")
        events = self._found(request.query.get("filters", "{}"))
        if isinstance(events, str):
            return _error(400, events)
        end = number * size
        following = number + 1 if end < len(events) else None
        page = raw(events[end - size : end])
        return document({"data": page, "message": "success", "page": number, "per_page": size, "next_page": following})

    def _found(self, text: str) -> list[Event] | str:
        """Newest first, or what is wrong with the filters."""
        try:
            filters = json.loads(text)
        except ValueError:
            filters = None
        if not isinstance(filters, dict):
            return "filters is not a JSON object"
        for name in filters:
            if name not in FILTERS:
                return f"unknown filter {name}"
        bounds = {name: time_in(str(filters[name]), SECONDS_Z) for name in FILTERS[:2] if name in filters}
        for name, ms in bounds.items():
            if ms is None:
                return f"{name} must be an ISO time such as 2026-01-01T00:00:00Z"
        start_ms, end_ms = bounds.get("start_time"), bounds.get("end_time")
        if start_ms is not None and end_ms is not None and end_ms < start_ms:
            return "end_time is before start_time"
        return by_event_time(self.emitter, start_ms, None if end_ms is None else end_ms + 999, newest_first=True)


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"message": message, "status": status}, status, headers)
