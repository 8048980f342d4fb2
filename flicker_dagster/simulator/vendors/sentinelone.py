"""SentinelOne's activities: ids of digits beyond 2^53, times in microseconds, a cursor that keeps the question it was for."""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of

PATH = "/web/api/v2.1/activities"
MOST = 1000
BOUNDS = ("createdAt__gte", "createdAt__gt", "createdAt__lte", "createdAt__lt")
OTHERS = ("sortBy", "sortOrder", "limit", "cursor", "siteIds", "accountIds", "activityTypes")
ACTIVITIES = ((27, "logged in to the management console"), (23, "added a user"), (67, "deleted a policy"))


class SentinelOne(Vendor):
    name = "sentinelone"
    params = {"console": "acme.sentinelone.net", "token": "eyJ0b2tlbiI6InNlbnRpbmVsIn0"}
    traits = frozenset({"copies", "late", "expired"})
    quota_per_minute = 600
    tells_wait = "nowhere"  # which headers tell the wait is documented nowhere: none does

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = str(1_570_395_776_954_206_544 + number * 3 + chance.randrange(3))
        created = (
            f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}.{published_ms % 1000:03d}{chance.randrange(1000):03d}Z"
        )
        kind, what = chance.choice(ACTIVITIES)
        event = {
            "id": event_id,
            "accountId": "433241117337583618",
            "accountName": "Acme",
            "activityType": kind,
            "activityUuid": f"{chance.getrandbits(64):016x}",
            "createdAt": created,
            "updatedAt": created,
            "primaryDescription": f"The management user Ana {what}.",
            "secondaryDescription": f"IP: 203.0.113.{chance.randrange(1, 255)}",
            "data": {"username": "Ana", "ipAddress": "203.0.113.9", "role": "Admin"},
            "siteId": None,
            "userId": "901170701818003423",
            "agentId": None,
            "threatId": None,
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("ApiToken") == (self.token or self.params["token"])

    def unauthorized(self) -> Response:
        return _error(401, 4010010, "Authentication Failed")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, 4290010, "Too many requests", headers=headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if (request.method, request.path) != ("GET", PATH) or not is_for(request, self.params["console"]):
            return _error(404, 4040010, "Not Found")
        unknown = request.unknown(*BOUNDS, *OTHERS)
        if unknown:
            return _invalid(f"{unknown[0]}: Unknown field.")
        query = request.query
        limit, order = request.number("limit", 10, least=1, most=MOST), query.get("sortOrder", "desc")
        if limit is None:
            return _invalid(f"limit: Must be between 1 and {MOST}.")
        if query.get("sortBy", "createdAt") != "createdAt" or order not in ("asc", "desc"):
            return _invalid("sortBy: Not a valid choice.")
        events = self._span(query, newest_first=order == "desc")
        if isinstance(events, str):
            return _invalid(f"{events}: Not a valid datetime.")
        asked = {name: value for name, value in query.items() if name not in ("cursor", "limit")}
        page = page_after(events, limit, query.get("cursor"), asked, newest_first=order == "desc", expired=expired)
        if page is None:
            return _invalid("cursor: Invalid cursor.")
        return document(
            {"pagination": {"nextCursor": page.following, "totalItems": len(events)}, "data": raw(page.events)}
        )

    def _span(self, query: dict[str, str], *, newest_first: bool) -> list[Event] | str:
        """What the bounds let through; the name of one that is no time."""
        start_ms, end_ms = 0, self.emitter.now_ms() + 1
        for name in BOUNDS:
            if name not in query:
                continue
            ms = rfc3339_of(query[name])
            if ms is None:
                return name
            if "__g" in name:
                start_ms = max(start_ms, ms + (not name.endswith("e")))
            else:
                end_ms = min(end_ms, ms + name.endswith("e"))
        return in_span(self.emitter, start_ms, end_ms, newest_first=newest_first)


def _invalid(detail: str) -> Response:
    return _error(400, 4000040, "Validation Error", detail)


def _error(
    status: int, code: int, title: str, detail: str | None = None, headers: list[tuple[str, str]] | None = None
) -> Response:
    errors: list[dict[str, Any]] = [{"code": code, "detail": detail, "title": title}]
    return Response.json({"errors": errors}, status, headers)
