"""HubSpot's account activity: audit logs by ISO times, security by epoch milliseconds, logins by nothing at all."""

from __future__ import annotations

import base64
import random
import re
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import (
    compact,
    document,
    is_for,
    raw,
)
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms, rfc3339_ms

HOST = "api.hubapi.com"
PATH = re.compile(r"/account-info/(?:v3|2026-03)/activity/(audit-logs|login|security)")
DAY_MS = 86_400_000
LOGINS_KEPT_MS = 90 * DAY_MS


@dataclass(frozen=True)
class _Feed:
    stream: str
    start: str = ""  # names of its time parameters
    end: str = ""
    others: tuple[str, ...] = ()


FEEDS = {
    "audit-logs": _Feed(
        "audit_logs", "occurredAfter", "occurredBefore", ("actingUserId", "sort", "fillFinalTimestamp")
    ),
    "login": _Feed("logins", others=("userId",)),
    "security": _Feed("security", "fromTimestamp", "toTimestamp", ("userId",)),
}


class HubSpot(Vendor):
    """`sort` is what audit logs are sorted by when the request does not say: documentation and samples differ. An event
    of exactly `occurredAfter`, `occurredBefore`, or of `toTimestamp` is not listed."""

    name = "hubspot"
    streams = ("audit_logs", "logins", "security")
    id_path = "id"
    params = {"token": "pat-na1-5f0c2d1e"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 600
    tells_wait = "nowhere"

    def __init__(self, *, sort: str = "-occurredAt", **options: Any) -> None:
        self._sort = sort
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = base64.b64encode(chance.getrandbits(160).to_bytes(20, "big")).decode()
        user = chance.choice((89274502, 89274503, 89274504))
        email, when = f"user{user % 10}@acme.test", rfc3339_ms(published_ms)
        place_of_user = {"ipAddress": an_address(chance), "location": "Lyon, France"}
        if stream == "logins":
            event: dict[str, Any] = {
                "id": event_id,
                "userId": user,
                "email": email,
                "loginAt": when,
                "loginSucceeded": chance.random() < 0.9,
                "userAgent": "Mozilla/5.0",
                "countryCode": "FR",
                "regionCode": "ara",
                **place_of_user,
            }
        elif stream == "security":
            event = {
                "id": event_id,
                "userId": user,
                "actingUser": email,
                "type": chance.choice(("HAPIKEY_VIEW", "ADD_USER", "EXPORT")),
                "objectId": str(chance.randrange(10**9)),
                "createdAt": when,
                **place_of_user,
            }
        else:
            event = {
                "id": event_id,
                "category": "PROPERTY_VALUE",
                "subCategory": chance.choice(("CONTACT", "COMPANY", "DEAL")),
                "action": chance.choice(("CREATE", "UPDATE", "DELETE")),
                "targetObjectId": str(chance.randrange(10**11)),
                "occurredAt": when,
                "actingUser": {"userId": user, "userEmail": email},
            }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == self.params["token"]

    def unauthorized(self) -> Response:
        return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        """It says which rule was broken, not for how long."""
        says = {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
        return _error(429, "RATE_LIMITS", "You have reached your ten_secondly_rolling limit.", headers, **says)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [
            ("X-HubSpot-RateLimit-Daily", "1000000"),
            ("X-HubSpot-RateLimit-Daily-Remaining", str(1_000_000 - self.requests)),
            ("X-HubSpot-RateLimit-Secondly", "19"),
            ("X-HubSpot-RateLimit-Secondly-Remaining", str(min(18, remaining))),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        path = PATH.fullmatch(request.path)
        if path is None or not is_for(request, HOST):
            return _error(404, "OBJECT_NOT_FOUND", "resource not found")
        if request.method != "GET":
            return _error(405, "VALIDATION_ERROR", "Method Not Allowed")
        feed = FEEDS[path[1]]
        known = [name for name in (feed.start, feed.end, *feed.others) if name]
        unknown = request.unknown("after", "limit", *known)
        if unknown:
            return _invalid(f"Unknown query parameter {unknown[0]}")
        limit = request.number("limit", 100, least=1, most=200)
        if limit is None:
            return _invalid("limit must be between 1 and 200")
        events = self._found(request, feed)
        if isinstance(events, Response):
            return events
        sort = request.query.get("sort", self._sort) if feed.stream == "audit_logs" else "-"
        if sort not in ("occurredAt", "-occurredAt", "-"):
            return _invalid(f"sort: {sort} is not supported")
        newest_first = sort[0] == "-"
        events = events[::-1] if newest_first else events
        cursor, asked = request.query.get("after"), [feed.stream, sort]
        page = page_after(events, limit, cursor, asked, newest_first=newest_first, expired=expired)
        if page is None:
            return _invalid("The after cursor is invalid")
        answer: dict[str, Any] = {"results": raw(page.events)}
        if page.more:
            link = f"{request.base}{request.again({'after': page.last})}"
            answer["paging"] = {"next": {"after": page.last, "link": link}}
        return document(answer)

    def _found(self, request: Request, feed: _Feed) -> list[Event] | Response:
        """Oldest first."""
        emitter = self.emitters[feed.stream]
        if not feed.start:
            return by_event_time(emitter, emitter.now_ms() - LOGINS_KEPT_MS)
        by_iso = feed.stream == "audit_logs"
        bounds: list[int | None] = []
        for name in (feed.start, feed.end):
            text = request.query.get(name)
            ms = None if text is None else rfc3339_of(text) if by_iso else parse_time_ms(text, "unix_ms")
            if text is not None and ms is None:
                return _invalid(f"{name}: {text!r} is not a valid {'ISO8601 date-time' if by_iso else 'int64'}")
            bounds.append(ms)
        start_ms, end_ms = bounds
        if start_ms is not None and end_ms is not None and end_ms <= start_ms:
            return _invalid(f"{feed.end} must be after {feed.start}")
        return by_event_time(emitter, start_ms, end_ms, start_inclusive=not by_iso, end_inclusive=False)


def _invalid(message: str) -> Response:
    return _error(400, "VALIDATION_ERROR", message)


def _error(
    status: int, category: str, message: str, headers: list[tuple[str, str]] | None = None, **more: str
) -> Response:
    correlation = "8f0c2d1e-0000-4000-8000-5f0c2d1e0000"
    says = {"status": "error", "message": message, "correlationId": correlation, "category": category, **more}
    return Response.json(says, status, headers)
