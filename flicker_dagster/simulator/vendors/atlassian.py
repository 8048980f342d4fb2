"""Atlassian's organization audit log (https://developer.atlassian.com/cloud/admin/organization/): the events stream, in
the order in which events were processed."""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_arrival, cursor_of, place_of
from flicker_dagster.simulator.making import a_uuid, an_address, whole_seconds
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import format_time, parse_time_ms, rfc3339_ms

HOST = "api.atlassian.com"
LARGEST_PAGE = 200
MINUTE = "%Y-%m-%dT%H:%MZ"
ACTIONS = ("user_added_to_group", "user_login", "api_token_created", "group_created", "jira_issue_viewed")
_PATH = re.compile(r"/admin/v1/orgs/([^/]+)/events-stream")
_MS = re.compile(r"\d{13}")


class Atlassian(Vendor):
    """`polling_cursor`: does the last page hold a cursor as well, to poll for what comes? Sources disagree, and the default
    is that it does not. `processed_at`: do events say when they were processed?"""

    name = "atlassian"
    params = {"org_id": "2ab7c9de-1111-4222-8333-acme00000001", "api_key": "ATCTT3xFfGN0acme"}
    traits = frozenset({"copies", "late", "expired"})
    quota_per_minute = 600
    tells_wait = "quota"

    def __init__(self, *, polling_cursor: bool = False, processed_at: bool = False, **options: Any) -> None:
        self._polling_cursor = polling_cursor
        self._processed_at = processed_at
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        """Some times are to the second, and then without a fraction."""
        event_id = a_uuid(chance)
        whole = chance.random() < 0.2
        time = whole_seconds(published_ms) if whole else rfc3339_ms(published_ms)
        person, account = chance.choice(
            (("Ana Lopez", "5ab8f18d741e9c2c7e9d4538"), ("Bob Ray", "5ab8f18d741e9c2c7e9d4539"))
        )
        attributes = {
            "time": time,
            "action": chance.choice(ACTIONS),
            "actor": {"id": account, "name": person, "email": f"{person[:3].lower()}@acme.test"},
            "context": [{"id": f"g{number}", "type": "groups", "attributes": {"groupName": "admins"}}],
            "container": [{"id": "s1", "type": "sites", "attributes": {"siteHostName": "acme.atlassian.net"}}],
            "location": {"ip": an_address(chance), "countryName": "France", "city": "Lyon"},
        }
        if self._processed_at:
            attributes["processedAt"] = rfc3339_ms(published_ms + chance.randrange(60_000))
        event = {
            "id": event_id,
            "type": "events",
            "attributes": attributes,
            "links": {"self": f"https://{HOST}/admin/v1/orgs/{self.params['org_id']}/events/{event_id}"},
            "message": {"content": f"Added user number {number} to admins", "format": "simple"},
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == (self.token or self.params["api_key"])

    def unauthorized(self) -> Response:
        return _error(401, "ADMIN-401-1", "Unauthorized")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "ADMIN-429-1", "Too many requests", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        """The reset is an ISO time to the minute: the first full one that is late enough."""
        return quota_told("X-RateLimit", self.per_minute, remaining, format_time(-(-reset_s // 60) * 60_000, MINUTE))

    def answer(self, request: Request, *, expired: bool) -> Response:
        found = _PATH.fullmatch(request.path)
        if found is None or not is_for(request, HOST) or request.method != "GET":
            return _error(404, "ADMIN-404-1", "Not found")
        if found[1] != self.params["org_id"]:
            return _error(403, "ADMIN-403-1", "The key is not of this organization")
        unknown = request.unknown("from", "to", "cursor", "limit", "sortOrder")
        limit = request.number("limit", LARGEST_PAGE, least=1, most=LARGEST_PAGE)
        order = request.query.get("sortOrder", "asc")
        if unknown or limit is None or order not in ("asc", "desc"):
            return _error(400, "ADMIN-400-1", f"Invalid {unknown[0] if unknown else 'limit or sortOrder'}")
        start = {"span": _span(request), "order": order, "at": 0}
        if request.query.get("cursor"):
            kept = None if expired else place_of(request.query["cursor"])
            if kept is None:
                return _error(400, "ADMIN-400-2", "Invalid cursor")
            start = kept
        if start["span"] is None:
            return _error(400, "ADMIN-400-3", "from and to are times in milliseconds, from before to")
        if start["order"] == "desc" and start["span"][1] is None:
            start["span"] = (start["span"][0], self.emitter.now_ms())
        return self._page(request, start, limit)

    def _page(self, request: Request, start: dict[str, Any], limit: int) -> Response:
        """What the cursor remembers (span and order) wins over what the request says beside it."""
        events: list[Event] = by_arrival(self.emitter, *start["span"])
        if start["order"] == "desc":
            events = events[::-1]
        end = start["at"] + limit
        page = events[start["at"] : end]
        more = end < len(events)
        cursor = cursor_of(**{**start, "at": start["at"] + len(page)}) if more or self._polling_cursor else None
        links = {}
        if cursor is not None:
            links = {"next": f"{request.base}{request.again({'cursor': cursor})}"}
        return document({"data": raw(page), "meta": {"next": cursor, "page_size": len(page)}, "links": links})


def _span(request: Request) -> tuple[int | None, int | None] | None:
    """Processing times, both inclusive; None for what is no time in milliseconds, or no span."""
    texts = [request.query.get(name) for name in ("from", "to")]
    times = [parse_time_ms(text, "unix_ms") if text and _MS.fullmatch(text) else None for text in texts]
    start_ms, end_ms = times
    if any(text is not None and ms is None for text, ms in zip(texts, times)):
        return None
    return None if start_ms and end_ms and start_ms > end_ms else (start_ms, end_ms)


def _error(status: int, code: str, title: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"errors": [{"status": str(status), "code": code, "title": title}]}, status, headers)
