"""GitHub's organization audit log: newest first unless asked otherwise, times inside the search phrase, opaque cursors."""

from __future__ import annotations

import base64
import json
import random
import re
from urllib.parse import urlencode

from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms

DAY_MS = 86_400_000
PATH = re.compile(r"/(orgs|enterprises)/[^/]+/audit-log")
ACTIONS = ("org.add_member", "repo.create", "team.add_repository", "protected_branch.update", "git.clone")
_CREATED = re.compile(r"created:(>=|<=|>|<)?([^\s.]+(?:\.\d+Z?)?)(?:\.\.(\S+))?")


class GitHub(Vendor):
    name = "github"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = base64.urlsafe_b64encode(chance.getrandbits(128).to_bytes(16, "big")).decode().rstrip("=")
        action = chance.choice(ACTIONS)
        event = {
            "@timestamp": published_ms,
            "_document_id": event_id,
            "action": action,
            "actor": "octo-ana",
            "actor_id": 583231,
            "actor_location": {"country_code": "FR"},
            "created_at": published_ms,
            "operation_type": "create",
            "org": "acme",
            "org_id": 4242,
            "user": f"octo-{chance.randrange(100)}",
            "user_id": 583000 + chance.randrange(1000),
        }
        if action.startswith("git."):
            del event["created_at"]
        return event_id, json.dumps(event, separators=(",", ":")).encode()

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        """GitHub says 403 as often as 429 when nothing remains."""
        if not any(name == "Retry-After" for name, _ in headers):
            headers = [*self.quota_headers(0, int(self.clock() // 60 + 1) * 60), *headers]
            return Response.json({"message": "API rate limit exceeded"}, 403, headers)
        return Response.json({"message": "You have exceeded a secondary rate limit"}, 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not PATH.fullmatch(request.path):
            return Response.json({"message": "Not Found"}, 404)
        if not request.headers.get("user-agent"):
            return Response.json({"message": "Request forbidden by administrative rules. User-Agent required"}, 403)
        query = request.query
        start_ms, end_ms = _span(query.get("phrase", ""), self.emitter.now_ms())
        events = self.emitter.between(start_ms, end_ms)
        include = query.get("include", "web")
        if include != "all":
            events = [event for event in events if (b'"git.' in event.body) == (include == "git")]
        if query.get("order", "desc") != "asc":
            events = events[::-1]
        per_page = min(int(query.get("per_page", 30)), 100)
        start = 0
        if "after" in query:
            found = None if expired else _position(query["after"], events)
            if found is None:
                return Response.json({"message": "Invalid cursor: after"}, 422)
            start = found
        page = events[start : start + per_page]
        links = self._links(request, page, more=start + len(page) < len(events))
        return Response(
            200, b"[" + b",".join(e.body for e in rows(page)) + b"]", [("Content-Type", "application/json"), *links]
        )

    def _links(self, request: Request, page: list[Event], *, more: bool) -> list[tuple[str, str]]:
        if not more or not page:
            return []
        here = f"{self.url}{request.path}"
        after = _cursor(page[-1])
        following = urlencode(request.query | {"after": after, "before": ""})
        return [("Link", f'<{here}?{following}>; rel="next", <{here}?{urlencode(request.query)}>; rel="first"')]


def _span(phrase: str, now_ms: int) -> tuple[int, int]:
    """The span of `created:` qualifiers; times are to the second, and a bound covers the whole second. Without: 3 months."""
    start_ms, end_ms = now_ms - 91 * DAY_MS, now_ms
    for operator, text, until in _CREATED.findall(phrase):
        ms = parse_time_ms(text)
        if ms is None:
            continue
        if until:
            start_ms, end_ms = ms, (parse_time_ms(until) or now_ms) + 999
        elif operator == ">=":
            start_ms = ms
        elif operator == ">":
            start_ms = ms + 1000
        elif operator == "<=":
            end_ms = ms + 999
        elif operator == "<":
            end_ms = ms - 1
        else:
            start_ms, end_ms = ms, ms + DAY_MS - 1
    return start_ms, end_ms


def _cursor(event: Event) -> str:
    return base64.b64encode(f"MS4{event.published_ms}|{event.number}".encode()).decode()


def _position(cursor: str, events: list[Event]) -> int | None:
    """The place after the event a cursor names; None for what is no cursor of ours, such as a time."""
    try:
        number = int(base64.b64decode(cursor, validate=True).decode().split("|")[1])
    except (ValueError, IndexError):
        return None
    return next((index + 1 for index, event in enumerate(events) if event.number == number), None)
