"""Datadog's audit events: a search by POST, or the same by GET; any span, relative ones too, the newest first by default.

A cursor follows every page that holds events, the last one too: the end is a page without events and without `meta`.
"""

from __future__ import annotations

import math
import random
import re
from typing import Any
from urllib.parse import urlencode

from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, rfc3339_ms

SEARCH, LIST = "/api/v2/audit/events/search", "/api/v2/audit/events"
MOST = 1000
DAYS_90_MS = 90 * 86_400_000
BODY = {"filter": {"from", "to", "query"}, "options": {"timezone", "time_offset"}, "page": {"limit", "cursor"}}
FLAT = ("filter[from]", "filter[to]", "filter[query]", "sort", "page[limit]", "page[cursor]")
_MATH = re.compile(r"now(?:-(\d+)(s|m|h|d))?")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Datadog(Vendor):
    name = "datadog"
    params = {"site": "datadoghq.com", "api_key": "dd0api8c1f", "application_key": "dd0app5b7e"}
    traits = frozenset({"copies", "late", "expired", "empty"})
    quota_per_minute = 600
    tells_wait = "quota"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"AQAAAYAiOhYW{chance.getrandbits(64):016x}-QAAAABBWUFp"
        action, kind = chance.choice(("modified", "created", "deleted")), chance.choice(("Monitor", "Dashboard"))
        event = {
            "id": event_id,
            "type": "audit",
            "attributes": {
                "timestamp": rfc3339_ms(published_ms),
                "message": f"User ana@acme.test {action} {kind} {number}",
                "service": "audit",
                "tags": ["source:audit"],
                "attributes": {
                    "timestamp": f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}.{published_ms % 1000:03d}417",
                    "evt": {"name": kind, "actor": {"type": "USER"}},
                    "action": action,
                    "usr": {"email": "ana@acme.test", "uuid": "0ed5718a"},
                    "network": {"client": {"ip": an_address(chance)}},
                    "http": {"method": "PUT", "status_code": "200"},
                },
            },
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        found = request.headers.get("dd-api-key"), request.headers.get("dd-application-key")
        right = self.params["api_key"], self.token or self.params["application_key"]
        return found == right

    def unauthorized(self) -> Response:
        return _error(403, "Forbidden")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Too many requests", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [
            ("X-RateLimit-Limit", str(self.per_minute)),
            ("X-RateLimit-Period", "60"),
            ("X-RateLimit-Remaining", str(remaining)),
            ("X-RateLimit-Reset", str(math.ceil(reset_s - self.clock()))),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, f"api.{self.params['site']}"):
            return _error(404, "Not found")
        if (request.method, request.path) == ("POST", SEARCH):
            asked = _of_body(request)
        elif (request.method, request.path) == ("GET", LIST):
            unknown = request.unknown(*FLAT)
            asked = f"unknown parameter: {unknown[0]}" if unknown else dict(request.query)
        else:
            return _error(404, "Not found")
        return _error(400, asked) if isinstance(asked, str) else self._search(request, asked, expired)

    def _search(self, request: Request, asked: dict[str, Any], expired: bool) -> Response:
        now_ms = self.emitter.now_ms()
        start_ms = _instant(asked.get("filter[from]", "now-15m"), now_ms)
        end_ms = _instant(asked.get("filter[to]", "now"), now_ms)
        limit, sort = str(asked.get("page[limit]", 10)), asked.get("sort", "-timestamp")
        if start_ms is None or end_ms is None:
            return _error(400, "invalid filter: from and to take an ISO 8601 time, milliseconds or date math")
        if start_ms >= end_ms:
            return _error(400, "invalid filter: from must be before to")
        if not re.fullmatch("[0-9]+", limit) or not 1 <= int(limit) <= MOST:
            return _error(400, f"page limit must be between 1 and {MOST}")
        if sort not in ("timestamp", "-timestamp"):
            return _error(400, f"invalid sort: {sort}")
        newest_first = sort == "-timestamp"
        events = in_span(self.emitter, max(start_ms, now_ms - DAYS_90_MS), end_ms, newest_first=newest_first)
        bound = {name: asked.get(name) for name in FLAT if not name.startswith("page")}
        cursor = asked.get("page[cursor]")
        empty = request.fault == "empty"
        page = page_after(events, int(limit), cursor, bound, newest_first=newest_first, expired=expired, empty=empty)
        if page is None:
            return _error(400, "invalid page cursor")
        if page.last is None:
            return document({"data": []})
        following = urlencode(asked | {"page[cursor]": page.last})
        return document(
            {
                "meta": {"page": {"after": page.last}, "status": "done", "elapsed": 132, "request_id": "pddv1ChZ"},
                "data": raw(page.events),
                "links": {"next": f"{request.base}{LIST}?{following}"},
            }
        )


def _of_body(request: Request) -> dict[str, Any] | str:
    """The question of a body, spelled as a query spells it; or what is wrong with it."""
    body = request.json()
    if content_type(request) != "application/json" or not isinstance(body, dict):
        return "expected a JSON object as application/json"
    asked: dict[str, Any] = {}
    for name, value in body.items():
        if name == "sort":
            asked["sort"] = value
            continue
        if name not in BODY or not isinstance(value, dict) or value.keys() - BODY[name]:
            return f"unknown field: {name}"
        asked |= {f"{name}[{inner}]": each for inner, each in value.items() if name != "options"}
    return asked


def _instant(value: object, now_ms: int) -> int | None:
    if isinstance(value, str) and (found := _MATH.fullmatch(value)):
        return now_ms - (int(found[1]) * _UNIT_MS[found[2]] if found[1] else 0)
    if isinstance(value, str) and re.fullmatch("[0-9]{13}", value):
        return int(value)
    return rfc3339_of(value)


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"errors": [message]}, status, headers)
