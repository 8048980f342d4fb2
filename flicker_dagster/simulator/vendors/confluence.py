"""Confluence Cloud's audit log (https://developer.atlassian.com/cloud/confluence/rest/v1/api-group-audit/): records
without ids, newest first by offset, and pages that the server makes smaller than asked for."""

from __future__ import annotations

import math
import random
import re
from typing import Any

from flicker_dagster.simulator.alike import once_each
from flicker_dagster.simulator.checks import span_of
from flicker_dagster.simulator.emitter import rows
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import format_time

CONTEXT = "/wiki"
PATH = f"{CONTEXT}/rest/api/audit"
DEFAULT_PAGE = 1_000
MINUTE = "%Y-%m-%dT%H:%MZ"
SUMMARIES = (("Space permission added", "Permissions"), ("Space created", "Spaces"), ("Page exported", "Import/Export"))
_MS = re.compile(r"\d{13}")


class Confluence(Vendor):
    """`largest_page`: what the server lowers a larger limit to. `next_links`: does `_links` name the next page?"""

    name = "confluence"
    id_path = None
    params = {"site": "acme.atlassian.net", "email": "ana@acme.test", "token": "ATATT3xFfGF0acme"}
    quota_per_minute = 600

    def __init__(self, *, largest_page: int = 200, next_links: bool = False, **options: Any) -> None:
        self._largest_page = largest_page
        self._next_links = next_links
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        person, account = chance.choice((("Ana Lopez", "5c48"), ("Bob Ray", "5c49")))
        summary, category = chance.choice(SUMMARIES)
        event = {
            "author": {"type": "user", "displayName": person, "accountId": account, "accountType": "atlassian"},
            "remoteAddress": an_address(chance),
            "creationDate": published_ms,
            "summary": summary,
            "description": "",
            "category": category,
            "sysAdmin": False,
            "superAdmin": False,
            "affectedObject": {"name": f"Space {number}", "objectType": "Space"},
            "changedValues": [{"name": "Type", "oldValue": "", "newValue": "VIEWSPACE"}],
            "associatedObjects": [],
        }
        return content_of(event), compact(event)

    def is_authorized(self, request: Request) -> bool:
        known = (self.params["email"], self.token or self.params["token"])
        return request.basic() == known

    def unauthorized(self) -> Response:
        return _error(401, "Unauthorized")

    def limited(self, wait_s: float) -> Response:
        reset_ms = math.ceil((self.clock() + wait_s) / 60) * 60_000
        waits = [("Retry-After", str(math.ceil(wait_s))), ("X-RateLimit-Reset", format_time(reset_ms, MINUTE))]
        return self.too_many(waits)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Rate limit exceeded", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [("X-RateLimit-Limit", str(self.per_minute)), ("X-RateLimit-Remaining", str(remaining))]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, self.params["site"]) or request.method != "GET":
            return _error(404, "Not Found")
        unknown = request.unknown("startDate", "endDate", "searchString", "start", "limit")
        if unknown:
            return _error(400, f"unknown parameter {unknown[0]}")
        start, limit = request.number("start", 0, least=0), request.number("limit", DEFAULT_PAGE, least=1)
        if start is None or limit is None:
            return _error(400, "start and limit must be numbers")
        span = span_of(request, "startDate", "endDate", _MS, now_ms=self.emitter.now_ms(), fmt="unix_ms")
        if span is None:
            return _error(400, "startDate and endDate must be milliseconds, startDate not after endDate")
        events = rows(by_event_time(self.emitter, *span, newest_first=True))
        words = request.query.get("searchString", "").lower().encode()
        if words:
            events = [event for event in events if words in event.body.lower()]
        limit = min(limit, self._largest_page)
        page = events[start : start + limit]
        links = {"base": f"{request.base}{CONTEXT}", "context": CONTEXT, "self": f"{request.base}{request.target}"}
        if self._next_links and start + len(page) < len(events):
            links["next"] = request.again({"start": start + limit, "limit": limit}).removeprefix(CONTEXT)
        answer = {"results": once_each(page), "start": start, "limit": limit, "size": len(page), "_links": links}
        return document(answer)


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"statusCode": status, "message": message}, status, headers)
