"""HCP Terraform's audit trail: newest first by page number, without an upper bound, so that rows shift while it is read.

Whether `since` itself is "created after" is not documented: here it is not, unless `inclusive`.
"""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.making import a_uuid
from flicker_dagster.simulator.pages import MILLISECONDS_Z, compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import rfc3339_ms

HOST = "app.terraform.io"
PATH = "/api/v2/organization/audit-trail"
MOST = 1000
DAYS_14_MS = 14 * 86_400_000
ACTIONS = (("run", "apply"), ("workspace", "update"), ("team", "add_member"), ("policy-set", "destroy"))


class Terraform(Vendor):
    name = "terraform"
    params = {"token": "aTrail01.atlasv1.Zq8Wc2RkYt"}
    quota_per_minute = 1_800

    def __init__(self, *, inclusive: bool = False, **options: Any) -> None:
        self.inclusive = inclusive
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        kind, action = chance.choice(ACTIONS)
        event = {
            "id": event_id,
            "version": "0",
            "type": "Resource",
            "timestamp": rfc3339_ms(published_ms),
            "auth": {
                "accessor_id": "user-MaPuLx",
                "description": chance.choice(("ana", "bo")),
                "type": "Client",
                "impersonator_id": None,
                "organization_id": "org-AGLwRm",
            },
            "request": {"id": a_uuid(chance)},
            "resource": {"id": f"{kind}-{number:06d}", "type": kind, "action": action, "meta": None},
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == (self.token or self.params["token"])

    def unauthorized(self) -> Response:
        return _error(401, "unauthorized")

    def limited(self, wait_s: float) -> Response:
        """The reset is the seconds to wait, with a fraction."""
        return self.too_many([("X-RateLimit-Reset", f"{wait_s:.3f}")])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Too many requests", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-RateLimit", self.per_minute, remaining, f"{reset_s - self.clock():.3f}")

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or request.method != "GET" or not is_for(request, HOST):
            return _error(404, "not found")
        unknown = request.unknown("since", "page[number]", "page[size]")
        if unknown:
            return _error(400, f"invalid parameter: {unknown[0]}")
        number = request.number("page[number]", 1, least=1)
        size = request.number("page[size]", MOST, least=1, most=MOST)
        if number is None or size is None:
            return _error(400, "invalid parameter: page")
        since_ms = kept_ms = self.emitter.now_ms() - DAYS_14_MS
        if "since" in request.query:
            asked_ms = time_in(request.query["since"], MILLISECONDS_Z)
            if asked_ms is None:
                return _error(400, "invalid parameter: since must be spelled YYYY-MM-DDTHH:MM:SS.SSSZ")
            since_ms = max(asked_ms, kept_ms)
        events = in_span(self.emitter, since_ms, start_inclusive=self.inclusive, newest_first=True)
        page = events[(number - 1) * size : number * size]
        pages = max(1, -(-len(events) // size))
        pagination = {
            "current_page": number,
            "prev_page": number - 1 if number > 1 else None,
            "next_page": number + 1 if number < pages else None,
            "total_pages": pages,
            "total_count": len(events),
        }
        return document({"data": raw(page), "pagination": pagination})


def _error(status: int, title: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"errors": [{"status": str(status), "title": title}]}, status, headers)
