"""GitLab's audit events of an instance, its groups and its projects (https://docs.gitlab.com/api/audit_events/): newest
first, by numbered pages or by keyset, which knows one order only. Groups and projects are listed to be walked one by one."""

from __future__ import annotations

import json
import math
import random
import re
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.pages import compact, document, is_for, link_header, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms, rfc3339_ms

API = "/api/v4"
WIDEST_MS = 30 * 86_400_000
#: Which there are, by id.
GROUPS = {60: "acme", 61: "acme/platform", 62: "acme/platform/ops"}
PROJECTS = {7: "acme/website", 8: "acme/platform/api", 9: "acme/platform/ops/runbooks"}
TYPES = {"instance": "User", "groups": "Group", "projects": "Project"}
MESSAGES = (
    "Membership created",
    "Changed visibility from public to private",
    "Added deploy key",
    "Signed in with LDAP",
)
_EVENTS = re.compile(r"/api/v4/(?:(groups|projects)/([^/]+)/)?audit_events")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")
_KNOWN = ("created_after", "created_before", "per_page", "page", "pagination", "order_by", "sort", "cursor")


class GitLab(Vendor):
    """The three kinds of events have ids of one sequence each, a million apart."""

    name = "gitlab"
    streams = ("instance", "groups", "projects")
    params = {"host": "gitlab.acme.test", "token": "glpat-AcmeAudit0001"}
    traits = frozenset({"copies", "late"})
    quota_per_minute = 2_000

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = 90_210 + number + 1_000_000 * self.streams.index(stream)
        entities = {"groups": GROUPS, "projects": PROJECTS}.get(stream, {51: "ana", 52: "bob"})
        entity_id = chance.choice(tuple(entities))
        person = chance.choice(("Ana Lopez", "Bob Ray", None))
        event = {
            "id": event_id,
            "author_id": 51,
            "entity_id": entity_id,
            "entity_type": TYPES[stream],
            "details": {
                "custom_message": chance.choice(MESSAGES),
                "author_name": person,
                "author_email": None if person is None else f"{person[:3].lower()}@acme.test",
                "target_id": number,
                "target_type": "User",
                "target_details": f"User {number}",
                "ip_address": chance.choice((None, "203.0.113.9")),
                "entity_path": entities[entity_id],
            },
            "created_at": rfc3339_ms(published_ms),
        }
        return str(event_id), compact(event)

    def is_authorized(self, request: Request) -> bool:
        given = request.headers.get("private-token") or request.credentials("Bearer")
        return given == (self.token or self.params["token"])

    def unauthorized(self) -> Response:
        return _message(401, "401 Unauthorized")

    def limited(self, wait_s: float) -> Response:
        reset_s = math.ceil(self.clock() + wait_s)
        waits = [("RateLimit-ResetTime", formatdate(reset_s, usegmt=True)), ("Retry-After", str(math.ceil(wait_s)))]
        return self.too_many([*self.quota_headers(0, reset_s), *waits])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response(429, b"Retry later\n", [("Content-Type", "text/plain"), *headers])

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [
            ("RateLimit-Limit", str(self.per_minute)),
            ("RateLimit-Name", "throttle_authenticated_api"),
            ("RateLimit-Observed", str(self.per_minute - remaining)),
            ("RateLimit-Remaining", str(remaining)),
            ("RateLimit-Reset", str(reset_s)),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, self.params["host"], "gitlab.com") or request.method != "GET":
            return _message(404, "404 Not Found")
        if request.path in (f"{API}/groups", f"{API}/projects"):
            return self._entities(request)
        found = _EVENTS.fullmatch(request.path)
        if found is None:
            return _message(404, "404 Not Found")
        stream, entity = found[1] or "instance", unquote(found[2] or "")
        if stream == "instance":
            return self._events(request, stream, None, expired=expired)
        known = GROUPS if stream == "groups" else PROJECTS
        entity_id = next((each for each, path in known.items() if entity in (str(each), path)), None)
        if entity_id is None:
            return _message(404, f"404 {stream[:-1].title()} Not Found")
        return self._events(request, stream, entity_id, expired=expired)

    def _events(self, request: Request, stream: str, entity_id: int | None, *, expired: bool) -> Response:
        unknown = request.unknown(*_KNOWN, *(("entity_type", "entity_id") if stream == "instance" else ()))
        span = _span(request, self.emitter.now_ms())
        size, number = request.number("per_page", 20, least=1), request.number("page", 1, least=1)
        wrong = unknown[0] if unknown else span if isinstance(span, str) else None
        if size is None or number is None:
            wrong = "per_page, page"
        if wrong is not None or isinstance(span, str) or size is None or number is None:
            return Response.json({"error": f"{wrong} is invalid"}, 400)
        if stream == "instance" and span[1] - span[0] > WIDEST_MS:
            return _message(400, "400 Bad request - The date range must not be longer than 30 days")
        events = by_event_time(self.emitters[stream], *span)
        events = sorted(_of(events, request, entity_id), key=lambda event: -event.number)
        size = min(size, 100)
        if request.query.get("pagination") == "keyset":
            return self._keyset(request, events, size, expired=expired)
        page = events[(number - 1) * size : number * size]
        more = number * size < len(events)
        numbers = [("X-Per-Page", str(size)), ("X-Page", str(number)), ("X-Next-Page", str(number + 1) if more else "")]
        if len(events) <= 10_000:
            numbers += [("X-Total", str(len(events))), ("X-Total-Pages", str(-(-len(events) // size)))]
        return document(raw(page), [*numbers, *(_next(request, page=number + 1) if more else [])])

    def _keyset(self, request: Request, events: list[Event], size: int, *, expired: bool) -> Response:
        """The next link is there until a page is empty."""
        if (request.query.get("order_by", "id"), request.query.get("sort", "desc")) != ("id", "desc"):
            return Response.json({"error": "Keyset pagination is not yet available for this type of request"}, 405)
        if "page" in request.query:
            return Response.json({"error": "page, pagination are mutually exclusive"}, 400)
        cursor = request.query.get("cursor") or None
        page = page_after(events, size, cursor, None, place=_by_id, newest_first=True, expired=expired)
        if page is None:
            return Response.json({"error": "cursor is invalid"}, 400)
        return document(raw(page.events), _next(request, cursor=page.last) if page.events else [])

    def _entities(self, request: Request) -> Response:
        """Groups, or projects, by ascending id unless asked otherwise, by numbered pages."""
        unknown = request.unknown("per_page", "page", "order_by", "sort", "min_access_level", "membership", "simple")
        size, number = request.number("per_page", 20, least=1), request.number("page", 1, least=1)
        if unknown or size is None or number is None:
            return Response.json({"error": f"{unknown[0] if unknown else 'per_page'} is invalid"}, 400)
        groups = request.path.endswith("/groups")
        field = "full_path" if groups else "path_with_namespace"
        listed = [
            {"id": each, "name": path.rpartition("/")[2], field: path}
            for each, path in (GROUPS if groups else PROJECTS).items()
        ]
        page = listed[(number - 1) * size : number * size]
        return document(page, _next(request, page=number + 1) if number * size < len(listed) else [])


def _span(request: Request, now_ms: int) -> tuple[int, int] | str:
    """Both edges inclusive; the last 30 days where none is given; or the name of a time that is none."""
    times = {}
    for name in ("created_after", "created_before"):
        if name in request.query:
            times[name] = parse_time_ms(request.query[name]) if _TIME.fullmatch(request.query[name]) else None
            if times[name] is None:
                return name
    end_ms = times.get("created_before") or now_ms
    start_ms = times.get("created_after") or end_ms - WIDEST_MS
    return "created_after" if start_ms > end_ms else (start_ms, end_ms)


def _of(events: list[Event], request: Request, entity_id: int | None) -> list[Event]:
    """Events of one entity: that of the path, or the one that was asked for."""
    wanted: dict[str, Any] = {} if entity_id is None else {"entity_id": entity_id}
    if "entity_id" in request.query:
        wanted["entity_id"] = request.number("entity_id", 0)
    if "entity_type" in request.query:
        wanted["entity_type"] = request.query["entity_type"]
    return [event for event in events if wanted.items() <= json.loads(event.body).items()] if wanted else events


def _by_id(event: Event) -> list[int]:
    return [event.number]


def _next(request: Request, **changed: Any) -> list[tuple[str, str]]:
    return [link_header(next=f"{request.base}{request.again(changed)}", first=f"{request.base}{request.again({})}")]


def _message(status: int, message: str) -> Response:
    return Response.json({"message": message}, status)
