"""Asana's audit log events (https://developers.asana.com/docs/audit-log-events): oldest first, with an offset that leads
on for ever once there was an event."""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.checks import span_of
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms

HOST, API = "app.asana.com", "/api/1.0"
KEPT_MS = 90 * 86_400_000
TYPES = (
    ("user_login_succeeded", "logins"),
    ("user_login_failed", "logins"),
    ("team_created", "teams"),
    ("workspace_export_started", "admin_export"),
)
FILTERS = {"event_type": '"event_type":"{}"', "actor_type": '"actor_type":"{}"', "actor_gid": '"gid":"{}"'}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")


class Asana(Vendor):
    """`largest_page`: sources say 100 as well as 1,000."""

    name = "asana"
    id_path = "gid"
    params = {"workspace": "1199887766554433", "token": "2/1199/acme-service-account"}
    traits = frozenset({"copies", "late", "expired"})
    quota_per_minute = 1_500

    def __init__(self, *, largest_page: int = 100, **options: Any) -> None:
        self._largest_page = largest_page
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = str(1_203_456_789_012_345 + number)
        person, login = chance.choice((("Ana Lopez", "ana"), ("Bob Ray", "bob")))
        kind, category = chance.choice(TYPES)
        event = {
            "gid": event_id,
            "created_at": rfc3339_ms(published_ms),
            "event_type": kind,
            "event_category": category,
            "actor": {"actor_type": "user", "gid": "1111", "name": person, "email": f"{login}@acme.test"},
            "resource": {"resource_type": "user", "gid": str(2_000 + number), "name": person},
            "details": {"new_value": "saml"},
            "context": {
                "context_type": "web",
                "client_ip_address": an_address(chance),
                "user_agent": "Mozilla/5.0",
            },
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == (self.token or self.params["token"])

    def unauthorized(self) -> Response:
        return _error(401, "Not Authorized")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "You have made too many requests recently.", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        path = f"{API}/workspaces/{self.params['workspace']}/audit_log_events"
        if request.path != path or not is_for(request, HOST) or request.method != "GET":
            return _error(404, "workspace: Unknown object or path")
        query = request.query
        known = ("start_at", "end_at", "event_type", "actor_type", "actor_gid", "resource_gid", "limit", "offset")
        unknown = request.unknown(*known, "opt_pretty")
        if unknown:
            return _error(400, f"{unknown[0]}: Unknown parameter")
        limit = request.number("limit", self._largest_page, least=1, most=self._largest_page)
        if limit is None:
            return _error(400, f"limit: Must be between 1 and {self._largest_page}")
        now_ms = self.emitter.now_ms()
        span = span_of(request, "start_at", "end_at", _TIME, now_ms=now_ms + 1)
        if span is None:
            return _error(400, "start_at, end_at: Not ISO 8601 date-times, or in the wrong order")
        start_ms = max(span[0], now_ms - KEPT_MS)
        events = by_event_time(self.emitter, start_ms, span[1], end_inclusive=False)
        shapes = {**FILTERS, "resource_gid": '"gid":"{}"'}
        wanted = [shape.format(query[name]).encode() for name, shape in shapes.items() if name in query]
        events = [event for event in events if all(each in event.body for each in wanted)]
        page = page_after(events, limit, query.get("offset"), None, expired=expired)
        if page is None:
            return _error(400, "offset: Your pagination token is invalid or has expired.")
        return document({"data": raw(page.events), "next_page": self._next(request, page.last or query.get("offset"))})

    def _next(self, request: Request, offset: str | None) -> dict[str, str] | None:
        """There is a next page also where nothing is left, but none as long as nothing was found."""
        if offset is None:
            return None
        path = request.again({"offset": offset})
        return {"offset": offset, "path": path.removeprefix(API), "uri": f"{request.base}{path}"}


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"errors": [{"message": message}]}, status, headers)
