"""OpenAI's audit logs, of the organization and of its tenant: newest first in whole seconds, pages after or before an id.

The details of an event stand under a key that is named as its type is, dots included.
"""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span
from flicker_dagster.simulator.vendor import Vendor

HOST, PATH = "api.openai.com", "/v1/organization/audit_logs"
MOST = 100
BOUNDS = {"gt": 1, "gte": 0, "lt": 0, "lte": 1}
KNOWN = (
    *(f"effective_at[{name}]" for name in BOUNDS),
    "limit", "after", "before", "project_ids[]", "event_types[]", "actor_ids[]", "actor_emails[]", "resource_ids[]",
    "tenant_only",
)  # fmt: skip
TYPES = ("project.archived", "api_key.created", "user.added", "login.succeeded")


class OpenAI(Vendor):
    name = "openai"
    streams = ("organization", "tenant")
    params = {"admin_key": "sk-admin-4tT3mpT"}
    traits = frozenset({"copies", "late"})
    quota_per_minute = 600

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"audit_log-{chance.getrandbits(64):016x}_{number:06d}"
        kind = chance.choice(TYPES)
        event: dict[str, Any] = {"id": event_id, "type": kind, "effective_at": published_ms // 1000}
        if stream == "organization" and chance.random() < 0.7:
            event["project"] = {"id": "proj_abc", "name": "Pilot"}
        user = {"id": f"user-{chance.randrange(9)}", "email": "ana@acme.test"}
        session = {"user": user, "ip_address": an_address(chance), "user_agent": "Mozilla/5.0"}
        event["actor"] = {"type": "session", "session": session} if chance.random() < 0.9 else None
        event[kind] = {"id": f"obj_{number}"}
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == (self.token or self.params["admin_key"])

    def unauthorized(self) -> Response:
        return _error(401, "Incorrect API key provided.", code="invalid_api_key")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Rate limit reached.", code="rate_limit_exceeded", headers=headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if (request.method, request.path) != ("GET", PATH) or not is_for(request, HOST):
            return _error(404, f"Invalid URL ({request.method} {request.path})")
        unknown, query = request.unknown(*KNOWN), request.query
        if unknown:
            return _error(400, f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
        limit = request.number("limit", 20, least=1, most=MOST)
        if limit is None:
            return _error(400, f"limit must be between 1 and {MOST}", param="limit")
        if query.get("tenant_only", "false") not in ("true", "false") or ("after" in query and "before" in query):
            return _error(400, "tenant_only is true or false; after and before exclude each other")
        listed = self._listed(query)
        if isinstance(listed, Response):
            return listed
        page = listed
        for name in ("after", "before"):
            if name in query:
                place = next((number for number, event in enumerate(listed) if event.id == query[name]), None)
                if place is None:
                    return _error(400, f"No such object: '{query[name]}'", param=name)
                page = listed[place + 1 :] if name == "after" else listed[:place]
        more = len(page) > limit
        page = page[-limit:] if "before" in query else page[:limit]
        return document(
            {
                "object": "list",
                "data": raw(page),
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": more,
            }
        )

    def _listed(self, query: dict[str, str]) -> list[Event] | Response:
        start_ms, end_ms = 0, self.emitter.now_ms() + 1
        for name, beyond in BOUNDS.items():
            text = query.get(f"effective_at[{name}]")
            if text is None:
                continue
            if not re.fullmatch("[0-9]{9,10}", text):
                return _error(400, "effective_at must be Unix seconds", param=f"effective_at[{name}]")
            ms = (int(text) + beyond) * 1000
            if name.startswith("g"):
                start_ms = max(start_ms, ms)
            else:
                end_ms = min(end_ms, ms)
        stream = "tenant" if query.get("tenant_only") == "true" else "organization"
        return in_span(self.emitters[stream], start_ms, end_ms, newest_first=True)


def _error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Response.json({"error": error}, status, headers)
