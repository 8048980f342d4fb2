"""Miro's audit logs: both times required, ascending, a cursor that holds a `#`, times with an offset without colon."""

from __future__ import annotations

import random
from typing import Any, Literal

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import MILLISECONDS_Z, compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import datetime_of

HOST, PATH = "api.miro.com", "/v2/audit/logs"
KEPT_MS = 90 * 86_400_000
EVENTS = ("sign_in_succeeded", "sign_in_failed", "board_opened", "team_member_added")


class Miro(Vendor):
    """`end` is how the last page says that it is; an event of exactly `createdBefore` is not listed."""

    name = "miro"
    id_path = "id"
    params = {"token": "eyJtaXJvLm9yaWdpbiI6ImV1MDEifQ_5f0c2d1e"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 500
    tells_wait = "quota"

    def __init__(self, *, end: Literal["absent", "null"] = "absent", **options: Any) -> None:
        self._end = end
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        second, micro = f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}", chance.randrange(1000)
        event_id = f"{second}.{published_ms % 1000:03d}{micro:03d}Z#{chance.getrandbits(60)}-DDB"
        kind, user = chance.choice(EVENTS), str(3_074_457_300 + chance.randrange(90))
        event = {
            "id": event_id,
            "event": kind,
            "category": "authentication",
            "createdAt": f"{second}.{published_ms % 1000:03d}+0000",
            "createdBy": {"type": "user", "id": user, "name": "Ana", "email": "ana@acme.test"},
            "context": {
                "ip": an_address(chance),
                "team": {"id": "1", "name": "Core"},
                "organization": {"id": "2", "name": "Acme"},
            },
            "object": {"id": user, "name": "ana@acme.test"},
            "details": {"authType": "SSO", "mfaFactorType": "NONE"},
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == self.params["token"]

    def unauthorized(self) -> Response:
        return _error(401, "tokenNotProvided", "No authorization data was found on the request")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "tooManyRequests", "Request limit reached", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-RateLimit", self.per_minute, remaining, reset_s)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, "notFound", "Not found")
        if request.method != "GET":
            return _error(405, "methodNotAllowed", "expected GET")
        query, unknown = request.query, request.unknown("createdAfter", "createdBefore", "limit", "cursor", "sorting")
        if unknown:
            return _invalid(unknown[0], "unknown parameter")
        limit = request.number("limit", 100, least=1, most=100)
        if limit is None:
            return _invalid("limit", "must be between 1 and 100")
        if query.get("sorting", "ASC") not in ("ASC", "DESC"):
            return _invalid("sorting", "must be any of [ASC, DESC]")
        times: list[int] = []
        for name in ("createdAfter", "createdBefore"):
            ms = time_in(query.get(name, ""), MILLISECONDS_Z)
            if ms is None:
                return _invalid(name, "required, UTC in ISO 8601 with milliseconds and Z")
            times.append(ms)
        start_ms, end_ms = times
        if end_ms <= start_ms:
            return _invalid("createdBefore", "must be after createdAfter")
        events = by_event_time(
            self.emitter,
            max(start_ms, self.emitter.now_ms() - KEPT_MS),
            end_ms,
            end_inclusive=False,
            newest_first=query.get("sorting") == "DESC",
        )
        start = 0
        if "cursor" in query:
            found = None if expired else _behind(events, query["cursor"])
            if found is None:
                return _invalid("cursor", "invalid cursor")
            start = found
        page = events[start : start + limit]
        answer: dict[str, Any] = {"type": "cursor-list", "limit": limit, "size": len(page), "data": raw(page)}
        if start + limit < len(events):
            answer["cursor"] = page[-1].id
        elif self._end == "null":
            answer["cursor"] = None
        return document(answer)


def _behind(events: list[Event], cursor: str) -> int | None:
    """The place after the event that a cursor names; None where it names none."""
    return next((number + 1 for number, event in enumerate(events) if event.id == cursor), None)


def _invalid(field: str, message: str) -> Response:
    fields = {"fields": [{"field": field, "message": message}]}
    return _error(400, "invalidParameters", "Invalid parameters", context=fields)


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None, **more: Any) -> Response:
    return Response.json({"type": "error", "status": status, "code": code, "message": message, **more}, status, headers)
