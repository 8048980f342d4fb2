"""Airtable's enterprise audit log: a listing with an older and a newer end, whose cursor to newer events is kept for ever.

Listed as stored, so that nothing lands behind a cursor. Inside a page the newest event is first, whatever the order of
the pages.
"""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import cursor_of, place_of
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import MILLISECONDS_Z, compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms

HOST = "api.airtable.com"
KEPT_MS = 180 * 86_400_000
FILTERS = ("eventType", "category", "modelId", "originatingUserId")
ACTIONS = ("createBase", "viewBase", "deleteBase", "addUserToWorkspace")


class Airtable(Vendor):
    """`newest_first_in_pages`: the documentation says so of all pages; whether of ascending ones is open."""

    name = "airtable"
    id_path = "id"
    params = {"enterprise_account_id": "entUBq2RGdihxl3vU", "token": "patL2PNC5o3H4lBEi.5f0c2d1e"}
    traits = frozenset({"expired", "empty", "copies", "late"})
    quota_per_minute = 300
    tells_wait = "nowhere"

    def __init__(self, *, newest_first_in_pages: bool = True, **options: Any) -> None:
        self._newest_first = newest_first_in_pages
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"01HX{chance.getrandbits(80):022X}"
        action = chance.choice(ACTIONS)
        event = {
            "id": event_id,
            "timestamp": rfc3339_ms(published_ms),
            "action": action,
            "actor": {
                "type": "user",
                "user": {"id": "usrL2PNC5o3H4lBEi", "email": "ana@acme.test", "name": "Ana"},
            },
            "modelId": f"app{chance.getrandbits(56):014x}",
            "modelType": "base",
            "payload": {"name": f"Plans {number}"},
            "payloadVersion": "1.0",
            "context": {
                "actionId": f"act{chance.getrandbits(56):014x}",
                "enterpriseAccountId": self.params["enterprise_account_id"],
                "workspaceId": "wspmhESAta6clCCwF",
            },
            "origin": {
                "ipAddress": an_address(chance),
                "userAgent": "Mozilla/5.0",
                "sessionId": "sesE3ulSADiRNhqAv",
            },
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == self.params["token"]

    def unauthorized(self) -> Response:
        return _error(401, "AUTHENTICATION_REQUIRED", "Authentication required")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        says = {"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}
        return Response.json({"errors": [says]}, 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        path = f"/v0/meta/enterpriseAccounts/{self.params['enterprise_account_id']}/auditLogEvents"
        if request.path != path or not is_for(request, HOST):
            return _error(404, "NOT_FOUND", "Could not find what you are looking for")
        if request.method != "GET":
            return _error(405, "METHOD_NOT_ALLOWED", "expected GET")
        query = {name: value for name, value in request.query.items() if value != "null"}
        unknown = request.unknown("startTime", "endTime", "pageSize", "sortOrder", "next", "previous", *FILTERS)
        if unknown:
            return _invalid(f"Unknown parameter: {unknown[0]}")
        size, order = request.number("pageSize", 10, least=1, most=1000), query.get("sortOrder", "descending")
        if size is None:
            return _invalid("pageSize must be between 1 and 1000")
        if order not in ("ascending", "descending"):
            return _invalid(f"sortOrder: {order}")
        times: dict[str, int | None] = {
            n: time_in(query[n], MILLISECONDS_Z) for n in ("startTime", "endTime") if n in query
        }
        for name, ms in times.items():
            if ms is None:
                return _invalid(f"{name} must be an ISO 8601 time")
        oldest_ms = self.emitter.now_ms() - KEPT_MS
        start_ms, end_ms = max(times.get("startTime") or 0, oldest_ms), times.get("endTime")
        if end_ms is not None and end_ms <= start_ms:
            return _invalid("endTime must be after startTime")
        if "next" in query and "previous" in query:
            return _invalid("next and previous are exclusive")
        stored = self.emitter.stored()
        listed = [
            number
            for number, event in enumerate(stored)
            if start_ms <= event.published_ms and (end_ms is None or event.published_ms < end_ms)
        ]
        cursor = query.get("next") or query.get("previous")
        if cursor is None:
            at, forward = (0, True) if order == "ascending" else (len(stored), False)
        else:
            kept = None if expired else place_of(cursor)
            if kept is None or not isinstance(kept.get("at"), int):
                return _invalid("The cursor is invalid or expired")
            at, forward = kept["at"], "next" in query
        numbers = [number for number in listed if number >= at][:size] if forward else []
        if not forward:
            numbers = [number for number in listed if number < at][-size:]
        if request.fault == "empty":
            numbers = []
        return self._page(stored, listed, numbers, at, bounded=end_ms is not None)

    def _page(self, stored: list[Event], listed: list[int], numbers: list[int], at: int, *, bounded: bool) -> Response:
        first, behind = (numbers[0], numbers[-1] + 1) if numbers else (at, at)
        newer = not bounded or any(number >= behind for number in listed)
        older = any(number < first for number in listed)
        page = [stored[number] for number in numbers]
        return document(
            {
                "events": raw(page[::-1] if self._newest_first else page),
                "pagination": {
                    "next": cursor_of(at=behind) if newer else None,
                    "previous": cursor_of(at=first) if older else None,
                },
            }
        )


def _invalid(message: str) -> Response:
    return _error(422, "INVALID_REQUEST_UNKNOWN", f"Invalid request: {message}")


def _error(status: int, kind: str, message: str) -> Response:
    return Response.json({"error": {"type": kind, "message": message}}, status)
