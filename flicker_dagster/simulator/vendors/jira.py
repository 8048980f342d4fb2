"""Jira Cloud's audit records (https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-audit-records/):
newest first by offset, so that what is recorded meanwhile shifts the pages."""

from __future__ import annotations

import math
import random
import re

from flicker_dagster.simulator.alike import once_each
from flicker_dagster.simulator.checks import span_of
from flicker_dagster.simulator.emitter import rows
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import format_time

PATH = "/rest/api/3/auditing/record"
LARGEST_PAGE = 1_000
CREATED, MINUTE = "%Y-%m-%dT%H:%M:%S.%L+0000", "%Y-%m-%dT%H:%MZ"
RECORDS = (
    ("User added to group", "group management"),
    ("User removed from group", "group management"),
    ("Permission scheme updated", "permissions"),
    ("Project created", "projects"),
)
#: A time without a zone is one of UTC.
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?)?")


class Jira(Vendor):
    name = "jira"
    params = {"site": "acme.atlassian.net", "email": "ana@acme.test", "token": "ATATT3xFfGF0acme"}
    quota_per_minute = 600

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        record_id = 10_359 + number
        summary, category = chance.choice(RECORDS)
        event = {
            "id": record_id,
            "summary": summary,
            "remoteAddress": an_address(chance),
            "authorKey": "77315d07",
            "authorAccountId": "5c481cfe5f6f554665c123dc",
            "created": format_time(published_ms, CREATED),
            "category": category,
            "eventSource": "",
            "objectItem": {"id": "jira-admins", "name": "jira-admins", "typeName": "GROUP"},
            "changedValues": [{"fieldName": "Member", "changedTo": chance.choice(("bob", "chi", "dee"))}],
            "associatedItems": [],
        }
        return str(record_id), compact(event)

    def is_authorized(self, request: Request) -> bool:
        known = (self.params["email"], self.token or self.params["token"])
        return request.basic() == known

    def unauthorized(self) -> Response:
        return _error(401, "Client must be authenticated to access this resource.")

    def limited(self, wait_s: float) -> Response:
        """Both a wait and a time to the minute, which is that of the wait rounded up."""
        reset_ms = math.ceil((self.clock() + wait_s) / 60) * 60_000
        return self.too_many(
            [
                ("Retry-After", str(math.ceil(wait_s))),
                ("X-RateLimit-Reset", format_time(reset_ms, MINUTE)),
                ("RateLimit-Reason", "jira-burst-based"),
            ]
        )

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Rate limit exceeded.", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        near = [("X-RateLimit-NearLimit", "true")] if remaining * 5 < self.per_minute else []
        return [("X-RateLimit-Limit", str(self.per_minute)), ("X-RateLimit-Remaining", str(remaining)), *near]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, self.params["site"]) or request.method != "GET":
            return _error(404, "Not Found")
        unknown = request.unknown("from", "to", "offset", "limit", "filter")
        if unknown:
            return _error(400, f"The parameter {unknown[0]} is unknown.")
        offset, limit = request.number("offset", 0, least=0), request.number("limit", LARGEST_PAGE, least=1)
        if offset is None or limit is None:
            return _error(400, "offset and limit must be numbers.")
        span = span_of(request, "from", "to", _TIME, now_ms=self.emitter.now_ms())
        if span is None:
            return _error(400, "from and to must be date-times, from not after to.")
        events = rows(by_event_time(self.emitter, *span, newest_first=True))
        words = request.query.get("filter", "").lower().encode().split()
        if words:
            events = [event for event in events if any(word in event.body.lower() for word in words)]
        limit = min(limit, LARGEST_PAGE)
        answer = {
            "offset": offset,
            "limit": limit,
            "total": len(events),
            "records": once_each(events[offset : offset + limit]),
        }
        return document(answer)


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"errorMessages": [message], "errors": {}}, status, headers)
