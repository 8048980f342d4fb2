"""Snyk's audit logs, of a group and of each of its organizations: no ids, relative links, a version in every question.

The order is not documented: newest first here, unless asked otherwise. Calls of the API itself are recorded as
`api.access`, if `api_access` says what share they are, and are listed only to who asks for them by name.
"""

from __future__ import annotations

import json
import math
import random
import re
import uuid
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import rfc3339_ms

HOST, TOKEN_PATH, ORGS_PATH = "api.snyk.io", "/oauth2/token", "/rest/orgs"
MEDIA_TYPE = "application/vnd.api+json"
PATH = re.compile(r"/rest/(groups|orgs)/([0-9a-f-]+)/audit_logs/search")
VERSION = re.compile(r"20\d\d-\d\d-\d\d(~(beta|experimental))?")
FIRST_VERSION = "2024-04-29"
MOST = 100
DAY_MS = 86_400_000
KNOWN = ("version", "from", "to", "size", "sort_order", "user_id", "project_id", "events", "exclude_events", "cursor")
GROUP_ID = "8fffffff-1555-4444-b000-b55555555555"
EVENTS = {"group": ("group.edit", "group.user.add"), "orgs": ("org.project.add", "org.user.role.edit", "org.edit")}
API_ACCESS = "api.access"


class Snyk(Vendor):
    name = "snyk"
    streams = ("group", "orgs")
    id_path = None
    params = {"group_id": GROUP_ID, "token": "5nyk0000-70k3-4n00-8000-000000000000"}
    #: A service account that authenticates with OAuth instead.
    service_account = {"client_id": "snyk-client", "client_secret": "snyk-secret"}
    traits = frozenset({"copies", "late", "expired", "empty"})
    quota_per_minute = 1_600
    tells_wait = "quota"
    token_lifetime_s = 3_599

    def __init__(self, *, organizations: int = 12, api_access: float = 0.0, **options: Any) -> None:
        self.organizations = [f"00000000-0000-4000-8000-{number:012x}" for number in range(organizations)]
        self.api_access = api_access
        super().__init__(**options)

    def is_listed(self, stream: str, body: bytes) -> bool:
        return json.loads(body)["event"] != API_ACCESS

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        accessed = chance.random() < self.api_access
        event: dict[str, Any] = {
            "created": rfc3339_ms(published_ms),
            "event": API_ACCESS if accessed else chance.choice(EVENTS[stream]),
            "group_id": GROUP_ID,
        }
        if stream == "orgs":
            event["org_id"] = chance.choice(self.organizations)
        if chance.random() < 0.8:
            event["user_id"] = f"05555555-3333-4ddd-8ccc-{chance.randrange(50):012x}"
        event["content"] = {"updatedValues": {"number": number}}
        return content_of(event), compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def is_authorized(self, request: Request) -> bool:
        by_key = request.credentials("token") == (self.token or self.params["token"])
        return by_key or self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, "Unauthorized", "Authentication credentials not recognized")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Too Many Requests", "Rate limit exceeded", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [
            ("X-RateLimit-Limit", f'{self.per_minute}, {self.per_minute};w=60;name="audit"'),
            ("X-RateLimit-Remaining", str(remaining)),
            ("X-RateLimit-Reset", str(math.ceil(reset_s - self.clock()))),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return _error(404, "Not Found", "The requested path does not exist")
        if request.path == TOKEN_PATH:
            clients = {self.service_account["client_id"]: self.service_account["client_secret"]}
            return token_for_client(request, self.minting, clients)
        if request.headers.get("accept", "") != MEDIA_TYPE:
            return _error(406, "Not Acceptable", f"expected Accept: {MEDIA_TYPE}")
        version = request.query.get("version", "")
        if not VERSION.fullmatch(version) or version < FIRST_VERSION:
            return _error(400, "Invalid version", "The query parameter version must be a date of the API")
        found = PATH.fullmatch(request.path)
        if request.method == "GET" and request.path == ORGS_PATH:
            return self._orgs(request)
        if request.method != "GET" or found is None:
            return _error(404, "Not Found", "The requested path does not exist")
        if found[2] not in ([GROUP_ID] if found[1] == "groups" else self.organizations):
            return _error(403, "Forbidden", "No access to this group or organization")
        return self._search(request, found[1], found[2], expired=expired)

    def _orgs(self, request: Request) -> Response:
        limit = request.number("limit", 10, least=10, most=100)
        start = request.number("starting_after", 0)
        unknown = request.unknown("version", "limit", "starting_after", "group_id")
        if unknown or limit is None or limit % 10 or start is None:
            return _error(400, "Bad Request", "limit must be a multiple of 10, at most 100")
        page = self.organizations[start : start + limit]
        links = {"self": request.target}
        if start + limit < len(self.organizations):
            links["next"] = request.again({"starting_after": start + limit})
        data = [{"id": each, "type": "org", "attributes": {"group_id": GROUP_ID, "name": each[-4:]}} for each in page]
        return document({"jsonapi": {"version": "1.0"}, "data": data, "links": links})

    def _search(self, request: Request, level: str, owner: str, *, expired: bool) -> Response:
        query, now_ms = request.query, self.emitter.now_ms()
        unknown = request.unknown(*KNOWN)
        size, order = request.number("size", MOST, least=1, most=MOST), query.get("sort_order", "DESC")
        if unknown or size is None or order not in ("ASC", "DESC"):
            return _error(400, "Bad Request", f"invalid parameter: {', '.join(unknown) or 'size or sort_order'}")
        if "events" in query and "exclude_events" in query:
            return _error(400, "Bad Request", "events and exclude_events exclude each other")
        start_ms = rfc3339_of(query["from"]) if "from" in query else (now_ms // DAY_MS - 1) * DAY_MS
        end_ms = rfc3339_of(query["to"]) if "to" in query else now_ms + 1
        if start_ms is None or end_ms is None or start_ms > end_ms:
            return _error(400, "Bad Request", "from and to must be RFC 3339 times, from not after to")
        emitter = self.emitters["group" if level == "groups" else "orgs"]
        start_ms = max(start_ms, now_ms - 90 * DAY_MS)
        events = in_span(emitter, start_ms, end_ms, newest_first=order == "DESC")
        events = _wanted(events, request, None if level == "groups" else owner)
        asked = {name: value for name, value in query.items() if name not in ("cursor", "size")} | {
            "path": request.path
        }
        empty = request.fault == "empty"
        page = page_after(
            events, size, query.get("cursor"), asked, newest_first=order == "DESC", expired=expired, empty=empty
        )
        if page is None:
            return _error(400, "Bad Request", "The cursor is invalid or has expired")
        links = {"self": request.target}
        if page.following is not None:
            links["next"] = request.again({"cursor": page.following})
        data = {"items": raw(page.events)} if page.events else {}
        return document({"data": data, "jsonapi": {"version": "1.0"}, "links": links})


def _wanted(events: list[Event], request: Request, org_id: str | None) -> list[Event]:
    """Of one organization or all, and of the kinds that are asked for."""
    named = [kind for name, text in request.pairs if name == "events" for kind in text.split(",")]
    spared = [kind for name, text in request.pairs if name == "exclude_events" for kind in text.split(",")]

    def is_wanted(body: dict[str, Any]) -> bool:
        if org_id is not None and body["org_id"] != org_id:
            return False
        return body["event"] in named if named else body["event"] not in (API_ACCESS, *spared)

    return [event for event in events if is_wanted(json.loads(event.body))]


def _error(status: int, title: str, detail: str, headers: list[tuple[str, str]] | None = None) -> Response:
    error = {"id": str(uuid.uuid4()), "status": str(status), "title": title, "detail": detail}
    return Response.json({"jsonapi": {"version": "1.0"}, "errors": [error]}, status, headers)
