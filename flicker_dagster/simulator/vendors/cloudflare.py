"""Cloudflare's audit logs: v2 by cursor and action time, v1 by page number; the newest first unless asked otherwise.

Whether the bounds belong to the span is not documented: here "newer than" and "older than" are taken at their word, in
whole seconds, unless `inclusive`. A cursor stands beside the last row too: the end of v2 is an empty result.
"""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import a_uuid, an_address, whole_seconds
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor

HOST = "api.cloudflare.com"
MOST = 1000
MONTHS_18_MS = 548 * 86_400_000
ACTIONS = (
    ("Add Member", "create", "members"),
    ("Rotate Key", "update", "api_tokens"),
    ("Delete Rule", "delete", "waf"),
)


class Cloudflare(Vendor):
    name = "cloudflare"
    streams = ("v2", "v1")
    params = {"account_id": "4bb334f7c94c4a29a2c8d5f0e1b3a697", "token": "cf-3xVnQ0ZrJt6LwYk9"}
    traits = frozenset({"copies", "late", "expired"})
    quota_per_minute = 240

    def __init__(self, *, inclusive: bool = False, nested_cursor: bool = False, **options: Any) -> None:
        self.inclusive, self.nested_cursor = inclusive, nested_cursor
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        time = whole_seconds(published_ms)
        description, kind, product = chance.choice(ACTIONS)
        email, address = f"{chance.choice(('ana', 'bo', 'chi'))}@acme.test", an_address(chance)
        account = self.params["account_id"]
        if stream == "v1":
            event: dict[str, Any] = {
                "id": event_id,
                "action": {"result": True, "type": kind},
                "actor": {"email": email, "id": "f6b5de", "ip": address, "type": "user"},
                "interface": "API",
                "metadata": {"name": product},
                "newValue": f"value {number}",
                "oldValue": "",
                "owner": {"id": account},
                "resource": {"id": f"r{number}", "type": product},
                "when": time,
            }
            return event_id, compact(event)
        event = {
            "id": event_id,
            "account": {"id": account, "name": "Acme"},
            "action": {"description": description, "result": "success", "time": time, "type": kind},
            "actor": {"id": "f6b5de", "context": "dash", "email": email, "ip_address": address, "type": "user"},
            "raw": {
                "cf_ray_id": f"{chance.getrandbits(64):016x}",
                "method": "POST",
                "status_code": 200,
                "uri": f"/accounts/{account}/{product}",
                "user_agent": "Mozilla/5.0",
            },
            "resource": {"id": f"r{number}", "product": product, "type": product, "scope": "accounts"},
            "zone": {"id": None, "name": None},
        }
        return event_id, compact(event)

    def authorize(self, request: Request) -> Response | None:
        token = request.credentials("Bearer")
        if not token:
            return _error(400, 6003, "Invalid request headers")
        return None if token == (self.token or self.params["token"]) else self.unauthorized()

    def unauthorized(self) -> Response:
        return _error(401, 10000, "Authentication error")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, 10429, "Rate limited. Please wait and consider throttling your request speed", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        here = f"/client/v4/accounts/{self.params['account_id']}"
        if request.method != "GET" or not is_for(request, HOST):
            return _error(404, 7003, f"Could not route to {request.path}")
        if request.path == f"{here}/logs/audit":
            return self._version_2(request, expired)
        if request.path == f"{here}/audit_logs":
            return self._version_1(request)
        return _error(404, 7003, f"Could not route to {request.path}, perhaps your object identifier is invalid?")

    def _version_2(self, request: Request, expired: bool) -> Response:
        unknown = request.unknown("since", "before", "direction", "limit", "cursor")
        limit = request.number("limit", 100, least=1, most=MOST)
        if unknown or limit is None:
            return _error(400, 1004, f"invalid parameter: {', '.join(unknown) or 'limit'}")
        events = self._span("v2", request, needed=True)
        if isinstance(events, Response):
            return events
        asked = {name: value for name, value in request.query.items() if name not in ("cursor", "limit")}
        newest_first = request.query.get("direction", "desc") == "desc"
        page = page_after(events, limit, request.query.get("cursor"), asked, newest_first=newest_first, expired=expired)
        if page is None:
            return _error(400, 1004, "invalid parameter: cursor")
        info: dict[str, Any] = {"count": str(len(page.events))}
        if page.last is not None:
            info |= {"cursors": {"after": page.last}} if self.nested_cursor else {"cursor": page.last}
        return _listing(page.events, info)

    def _version_1(self, request: Request) -> Response:
        unknown = request.unknown("since", "before", "direction", "page", "per_page", "hide_user_logs", "export")
        number, size = request.number("page", 1, least=1), request.number("per_page", 100, least=1, most=MOST)
        if unknown or number is None or size is None:
            return _error(400, 1004, f"invalid parameter: {', '.join(unknown) or 'page'}")
        events = self._span("v1", request, needed=False)
        if isinstance(events, Response):
            return events
        return _listing(events[(number - 1) * size : number * size], None)

    def _span(self, stream: str, request: Request, *, needed: bool) -> list[Event] | Response:
        query = request.query
        bounds = {name: rfc3339_of(query[name], days=True) for name in ("since", "before") if name in query}
        for name in ("since", "before"):
            if (name in bounds and bounds[name] is None) or (needed and name not in bounds):
                return _error(400, 1004, f"invalid parameter: {name}: expected a date or an RFC 3339 time")
        since_ms, before_ms = bounds.get("since"), bounds.get("before")
        if since_ms is not None and before_ms is not None and since_ms >= before_ms:
            return _error(400, 1004, "invalid parameter: since must be older than before")
        if query.get("direction", "desc") not in ("asc", "desc"):
            return _error(400, 1004, "invalid parameter: direction")
        emitter = self.emitters[stream]
        kept_ms = emitter.now_ms() - MONTHS_18_MS
        return in_span(
            emitter,
            kept_ms if since_ms is None else max(since_ms, kept_ms),
            before_ms,
            step_ms=1000,
            start_inclusive=self.inclusive,
            end_inclusive=self.inclusive,
            newest_first=query.get("direction", "desc") == "desc",
        )


def _listing(events: list[Event], info: dict[str, Any] | None) -> Response:
    envelope = {"success": True, "errors": [], "messages": [], "result": raw(events)}
    return document(envelope if info is None else envelope | {"result_info": info})


def _error(status: int, code: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    errors = [{"code": code, "message": message}]
    return Response.json({"success": False, "errors": errors, "messages": [], "result": None}, status, headers)
