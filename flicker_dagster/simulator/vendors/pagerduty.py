"""PagerDuty's audit records: a version in the Accept header, a span of 31 days at most, newest first, a cursor."""

from __future__ import annotations

import math
import random
import re

from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import parse_time_ms, rfc3339_ms

HOST, PATH = "api.pagerduty.com", "/audit/records"
ACCEPT = "application/vnd.pagerduty+json;version=2"
DAY_MS = 86_400_000
WIDEST_MS = 31 * DAY_MS
ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?")
FILTERS = ("root_resource_types[]", "actor_type", "actor_id", "method_type", "method_truncated_token", "actions[]")
RESOURCES = ("team", "user", "service", "escalation_policy")


class PagerDuty(Vendor):
    """Several records come of one request and share its time. A record of exactly `until` is not listed."""

    name = "pagerduty"
    id_path = "id"
    params = {"api_key": "u+5f0c2d1e9c1d0e7f"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 960
    tells_wait = "quota"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        kind, action = chance.choice(RESOURCES), chance.choice(("create", "update", "delete"))
        target = f"P{chance.getrandbits(32):08X}"
        event_id = f"PDRECORDID{number}{target}_{kind.upper()}_{action.upper()}D"
        event = {
            "id": event_id,
            "execution_time": rfc3339_ms(published_ms),
            "execution_context": {
                "request_id": f"111lDEOIH-{published_ms % 100_000}",
                "remote_address": an_address(chance),
            },
            "actors": [{"id": "PDUSER", "summary": "Ana", "type": "user_reference"}],
            "method": {"type": chance.choice(("browser", "api_token", "oauth"))},
            "root_resource": {"id": target, "type": f"{kind}_reference", "summary": "Ops"},
            "action": action,
            "details": {
                "resource": {"id": target, "type": f"{kind}_reference"},
                "fields": [{"name": "name", "value": f"Ops {number}"}],
            },
        }
        if chance.random() < 0.1:
            del event["actors"]
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        expected = f"Token token={self.params['api_key']}"
        return request.headers.get("authorization") == expected

    def unauthorized(self) -> Response:
        return _error(401, 2006, "Authentication failed")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, 2020, "Rate Limit Exceeded", headers=headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        """The reset is told as seconds to wait."""
        return quota_told("ratelimit", self.per_minute, remaining, max(0, math.ceil(reset_s - self.clock())))

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, 2100, "Not Found")
        if request.method != "GET":
            return _error(405, 2001, "Method Not Allowed")
        if request.headers.get("accept", "").replace(" ", "") != ACCEPT:
            return _error(406, 2001, "Not Acceptable", f"Accept must be {ACCEPT}")
        query, unknown = request.query, request.unknown("since", "until", "limit", "cursor", *FILTERS)
        if unknown:
            return _invalid(f"{unknown[0]} is not a parameter")
        limit = request.number("limit", 100, least=1, most=100)
        if limit is None:
            return _invalid("Limit must be between 1 and 100")
        now_ms = self.emitter.now_ms()
        times = {
            name: parse_time_ms(query[name]) if ISO.fullmatch(query[name]) else None for name in _TIMES & set(query)
        }
        for name, ms in times.items():
            if ms is None:
                return _invalid(f"{name.title()} must be a valid ISO 8601 date")
        since_ms, until_ms = times.get("since"), times.get("until")
        since_ms = now_ms - DAY_MS if since_ms is None else since_ms
        until_ms = now_ms + 1 if until_ms is None else until_ms
        if until_ms <= since_ms:
            return _invalid("Until must be after Since")
        if until_ms - since_ms > WIDEST_MS:
            return _invalid("The time range must not exceed 31 days")
        events = by_event_time(self.emitter, since_ms, until_ms, end_inclusive=False, newest_first=True)
        page = page_after(events, limit, query.get("cursor"), None, newest_first=True, expired=expired)
        if page is None:
            return _invalid("Cursor is invalid")
        listed = {"records": raw(page.events), "response_metadata": None}
        return document({**listed, "next_cursor": page.following, "limit": limit})


_TIMES = {"since", "until"}


def _invalid(fault: str) -> Response:
    return _error(400, 2001, "Invalid Input Provided", fault)


def _error(
    status: int, code: int, message: str, fault: str = "", *, headers: list[tuple[str, str]] | None = None
) -> Response:
    error = {"code": code, "message": message, **({"errors": [fault]} if fault else {})}
    return Response.json({"error": error}, status, headers)
