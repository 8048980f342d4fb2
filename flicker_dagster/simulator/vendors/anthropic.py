"""Anthropic's Compliance API activity feed: newest first, ties by id, pages after (older) or before (newer) an id.

The feed records who reads it: with `records_reads` each request adds an activity, visible a second later. A collector
that asks until nothing is new never ends then, and no account of such a simulation is ever even.
"""

from __future__ import annotations

import random
import threading
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import an_address, whole_seconds
from flicker_dagster.simulator.pages import compact, document, holds, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import beyond, in_span
from flicker_dagster.simulator.vendor import Vendor

HOST, PATH = "api.anthropic.com", "/v1/compliance/activities"
VERSION = "2023-06-01"
MOST = 5000
BOUNDS = ("created_at.gte", "created_at.gt", "created_at.lte", "created_at.lt")
KNOWN = ("limit", "after_id", "before_id", *BOUNDS, "activity_types[]", "actor_ids[]", "organization_ids[]")
READ = "compliance_api_accessed"
TYPES = ("claude_chat_created", "claude_file_uploaded", "sso_login_succeeded", "admin_api_key_created", READ)


class Anthropic(Vendor):
    name = "anthropic"
    params = {"api_key": "sk-ant-api01-c0mpl14nc3"}
    traits = frozenset({"copies", "late"})
    quota_per_minute = 600

    def __init__(self, *, records_reads: bool = False, **options: Any) -> None:
        self.records_reads = records_reads
        self._reading = threading.local()
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"activity_01{published_ms // 1000:x}{chance.getrandbits(48):012x}{number:06d}"
        kind = READ if getattr(self._reading, "now", False) else chance.choice(TYPES[:-1])
        event: dict[str, Any] = {
            "id": event_id,
            "created_at": whole_seconds(published_ms),
            "organization_id": "org_01Wv6",
            "organization_uuid": "abcdef01-2345-6789-abcd-ef0123456789",
            "actor": {
                "type": "user_actor",
                "email_address": f"{chance.choice(('ana', 'bo', 'chi'))}@acme.test",
                "user_id": "user_01Tu",
                "ip_address": an_address(chance),
                "user_agent": "Mozilla/5.0",
            },
            "type": kind,
        }
        if kind.startswith("claude_"):
            event |= {"claude_chat_id": f"claude_chat_01{number:06d}", "claude_project_id": None}
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        right = self.token or self.params["api_key"]
        return request.headers.get("x-api-key") == right

    def unauthorized(self) -> Response:
        return _error(401, "authentication_error", "invalid x-api-key")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "rate_limit_error", "This request would exceed your rate limit", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if (request.method, request.path) != ("GET", PATH) or not is_for(request, HOST):
            return _error(404, "not_found_error", "Not found")
        if request.headers.get("anthropic-version") != VERSION:
            return _invalid("anthropic-version: header is required")
        answer = self._feed(request)
        if self.records_reads:
            self._reading.now = True
            self.emitter.emit(1, visible_ms=self.emitter.now_ms() + 1_000)
            self._reading.now = False
        return answer

    def _feed(self, request: Request) -> Response:
        unknown, query, limit = request.unknown(*KNOWN), request.query, request.number("limit", 100, least=1, most=MOST)
        if unknown or limit is None:
            return _invalid(f"{', '.join(unknown)}: Extra inputs are not permitted" if unknown else "limit: 1 to 5000")
        if "after_id" in query and "before_id" in query:
            return _invalid("only one of after_id and before_id may be given")
        listed = self._listed(query)
        if isinstance(listed, str):
            return _invalid(f"{listed}: expected an RFC 3339 time")
        kinds = [text for name, text in request.pairs if name == "activity_types[]"]
        if set(kinds) - set(TYPES):
            return _invalid("activity_types: unknown value")
        page = _part(listed, query, self.emitter.emitted())
        if page is None:
            return _invalid("invalid cursor")
        page = [event for event in page if not kinds or holds(event, "type", *kinds)]
        more = len(page) > limit
        page = page[-limit:] if "before_id" in query else page[:limit]
        return document(
            {
                "data": raw(page),
                "has_more": more,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )

    def _listed(self, query: dict[str, str]) -> list[Event] | str:
        """Newest first within the bounds, by whole seconds; the name of a bound that is no time."""
        start_ms, end_ms = 0, self.emitter.now_ms() + 1
        for name in BOUNDS:
            if name not in query:
                continue
            ms = rfc3339_of(query[name])
            if ms is None:
                return name
            if ".g" in name:
                start_ms = max(start_ms, -(-ms // 1000) * 1000 if name.endswith("e") else ms // 1000 * 1000 + 1000)
            else:
                end_ms = min(end_ms, ms // 1000 * 1000 + 1000 if name.endswith("e") else -(-ms // 1000) * 1000)
        return sorted(in_span(self.emitter, start_ms, end_ms), key=_place, reverse=True)


def _place(event: Event) -> tuple[int, str]:
    """Ties of a second stand by their ids."""
    return event.published_ms // 1000, event.id


def _part(listed: list[Event], query: dict[str, str], known: list[Event]) -> list[Event] | None:
    """What is older or newer than the event of a cursor, which stays valid for ever; None where there is none."""
    name = "after_id" if "after_id" in query else "before_id"
    if name not in query:
        return listed
    place = next((_place(event) for event in known if event.id == query[name]), None)
    if place is None:
        return None
    return beyond(listed, place, place=_place, newest_first=name == "after_id")


def _invalid(message: str) -> Response:
    return _error(400, "invalid_request_error", message)


def _error(status: int, kind: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011C"}
    return Response.json(error, status, headers)
