"""Sentry's organization audit log: newest first, no time filter, and a Link header that always has both directions."""

from __future__ import annotations

import random
import re
from urllib.parse import urlencode

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, holds, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import rfc3339_ms

PATH = re.compile(r"/api/0/organizations/([^/]+)/audit-logs/")
CURSOR = re.compile(r"(\d+):(\d+):([01])")
EVENTS = ("member.edit", "member.invite", "project.create", "api-key.remove", "sso.enable")


class Sentry(Vendor):
    """A cursor is `time:offset:previous`: a millisecond, and how many rows of that millisecond are behind already."""

    name = "sentry"
    id_path = "id"
    params = {"region": "us", "organization": "acme", "token": "sntrys_5f0c2d1e9c1d0e7f"}
    traits = frozenset({"copies", "late"})
    quota_per_minute = 1_200
    tells_wait = "quota"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id, kind = str(987_654 + number), chance.choice(EVENTS)
        event = {
            "id": event_id,
            "dateCreated": rfc3339_ms(published_ms),
            "event": kind,
            "actor": {"id": "12", "name": "Ana", "email": "ana@acme.test"},
            "ipAddress": an_address(chance),
            "note": "edited member bo@acme.test (role: admin, teams: N/A)",
            "targetObject": chance.randrange(1000),
            "targetUser": {"id": "13", "email": "bo@acme.test"},
            "data": {"role": chance.choice(("admin", "member"))},
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == self.params["token"]

    def unauthorized(self) -> Response:
        return Response.json({"detail": "Invalid token"}, 401)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response.json({"detail": "You are attempting to use this endpoint too frequently."}, 429, headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-Sentry-Rate-Limit", self.per_minute, remaining, reset_s)

    def answer(self, request: Request, *, expired: bool) -> Response:
        path = PATH.fullmatch(request.path)
        hosts = ("sentry.io", f"{self.params['region']}.sentry.io")
        if path is None or path[1] != self.params["organization"] or not is_for(request, *hosts):
            return Response.json({"detail": "The requested resource does not exist"}, 404)
        if request.method != "GET":
            return Response.json({"detail": f'Method "{request.method}" not allowed.'}, 405)
        unknown = request.unknown("event", "actor", "cursor", "per_page")
        if unknown:
            return Response.json({"detail": f"{unknown[0]}: unknown parameter"}, 400)
        per_page = request.number("per_page", 50, least=1, most=100)
        if per_page is None:
            return Response.json({"detail": "Invalid per_page value. Must be between 1 and 100."}, 400)
        cursor = CURSOR.fullmatch(request.query.get("cursor", "0:0:0"))
        if cursor is None:
            return Response.json({"detail": "Invalid cursor parameter."}, 400)
        kind, events = request.query.get("event"), by_event_time(self.emitter)
        if kind is not None:
            events = [event for event in events if holds(event, "event", kind)]
        at_ms, offset, previous = int(cursor[1]), int(cursor[2]), cursor[3] == "1"
        if previous:
            newer = [event for event in events if event.published_ms >= at_ms][offset : offset + per_page]
            page = newer[::-1]
        else:
            older = [event for event in events[::-1] if at_ms == 0 or event.published_ms <= at_ms]
            page = older[offset : offset + per_page]
        back, on = (at_ms, 0 if previous else offset), (at_ms, offset if previous else 0)
        if page:
            back, on = _beside(events, page[-1], older=True), _beside(events, page[0], older=False)
        found = {
            "previous": (f"{on[0]}:{on[1]}:1", bool(page) and events[-1] > page[0]),
            "next": (f"{back[0]}:{back[1]}:0", bool(page) and events[0] < page[-1]),
        }
        links = ", ".join(self._link(request, rel, *each) for rel, each in found.items())
        return document({"rows": raw(page), "options": list(EVENTS)}, [("Link", links)])

    def _link(self, request: Request, rel: str, cursor: str, results: bool) -> str:
        query = urlencode({**request.query, "cursor": cursor}, safe=":")
        told = f'rel="{rel}"; results="{str(results).lower()}"; cursor="{cursor}"'
        return f"<{request.base}{request.path}?&{query}>; {told}"


def _beside(events: list[Event], edge: Event, *, older: bool) -> tuple[int, int]:
    """Time and offset of the row behind an edge of a page: the rows of its millisecond up to it have been seen."""
    same = [event for event in events if event.published_ms == edge.published_ms]
    seen = [event for event in same if (event.number >= edge.number if older else event.number <= edge.number)]
    return edge.published_ms, len(seen)
