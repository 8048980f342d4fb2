"""LaunchDarkly's audit log: twenty rows a page, relative next links, times in milliseconds, and details one by one."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import msgspec

from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import Page, page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms

HOST, PATH = "app.launchdarkly.com", "/api/v2/auditlog"
DETAIL = re.compile(re.escape(PATH) + "/([0-9a-f]{24})")
VERBS = ("turned on the flag", "turned off the flag", "created the flag", "archived the flag")


class LaunchDarkly(Vendor):
    """Both bounds are exclusive. `fetched` counts the details that were asked for, by id.

    How the next link names its place is not documented: here it is a cursor beside the parameters it was asked with.
    """

    name = "launchdarkly"
    id_path = "_id"
    params = {"access_token": "api-5f0c2d1e-9c1d-4e7f-8a00-1b2c3d4e5f60"}
    traits = frozenset({"copies", "late"})
    quota_per_minute = 1_200

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"{chance.getrandbits(96):024x}"
        verb, flag = chance.choice(VERBS), f"flag-{chance.randrange(40)}"
        resource = f"proj/default:env/production:flag/{flag}"
        event = {
            "_id": event_id,
            "_accountId": "0123a4",
            "date": published_ms,
            "kind": "flag",
            "name": flag,
            "description": "",
            "shortDescription": "",
            "titleVerb": verb,
            "title": f"Ana {verb} {flag}",
            "accesses": [{"action": "updateOn", "resource": resource}],
            "member": {"_id": "507f", "email": "ana@acme.test"},
            "target": {"name": flag, "resources": [resource]},
            "_links": {"self": {"href": f"{PATH}/{event_id}"}},
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        """The token stands alone: there is no scheme."""
        return request.headers.get("authorization") == self.params["access_token"]

    def unauthorized(self) -> Response:
        return _error(401, "unauthorized", "Invalid access token")

    def limited(self, wait_s: float) -> Response:
        return self.too_many(self._told(0, int((self.clock() + wait_s) * 1000)))

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "rate_limited", "You've exceeded the API rate limit. Try again later.", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return self._told(remaining, reset_s * 1000)

    def _told(self, remaining: int, reset_ms: int) -> list[tuple[str, str]]:
        return [
            ("X-Ratelimit-Global-Remaining", str(remaining)),
            ("X-Ratelimit-Route-Remaining", str(remaining)),
            ("X-Ratelimit-Reset", str(reset_ms)),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return _error(404, "not_found", "Unknown host")
        detail = DETAIL.fullmatch(request.path)
        if detail is not None and request.method == "GET":
            return self._detail(detail[1])
        if request.path != PATH:
            return _error(404, "not_found", "Unknown resource identifier")
        if request.method not in ("GET", "POST"):
            return _error(405, "method_not_allowed", "expected GET or POST")
        if request.method == "POST" and not isinstance(request.json(), list):
            return _error(400, "invalid_request", "expected statements of a policy as JSON")
        query, unknown = request.query, request.unknown("after", "before", "limit", "q", "spec", "cursor")
        if unknown:
            return _error(400, "invalid_request", f"unknown query parameter {unknown[0]}")
        limit = request.number("limit", 10, least=1, most=20)
        if limit is None:
            return _error(400, "invalid_request", "limit must be between 1 and 20")
        times = {name: parse_time_ms(query[name], "unix_ms") for name in ("after", "before") if name in query}
        for name, ms in times.items():
            if ms is None:
                return _error(400, "invalid_request", f"{name} must be a time in milliseconds")
        after_ms, before_ms = times.get("after"), times.get("before")
        if after_ms is not None and before_ms is not None and before_ms <= after_ms:
            return _error(400, "invalid_request", "before must be later than after")
        events = by_event_time(
            self.emitter, after_ms, before_ms, start_inclusive=False, end_inclusive=False, newest_first=True
        )
        wanted = query.get("q", "").encode()
        events = [event for event in events if wanted in event.body]
        page = page_after(events, limit, query.get("cursor"), None, newest_first=True)
        if page is None:
            return _error(400, "invalid_request", "invalid cursor")
        return self._listed(request, page)

    def _listed(self, request: Request, page: Page) -> Response:
        links: dict[str, Any] = {"self": {"href": request.target, "type": "application/json"}}
        if page.more:
            links["next"] = {"href": request.again({"cursor": page.last}), "type": "application/json"}
        return document({"items": raw(page.events), "_links": links})

    def _detail(self, event_id: str) -> Response:
        event = next((event for event in self.emitter.stored() if event.id == event_id), None)
        if event is None:
            return _error(404, "not_found", "Unknown audit log entry identifier")
        with self._lock:
            self.fetched[event_id] += 1
        more = {
            "previousVersion": {"on": False},
            "currentVersion": {"on": True},
            "delta": [{"op": "replace", "path": "/on", "value": True}],
        }
        return Response(200, msgspec.json.encode(json.loads(event.body) | more), [("Content-Type", "application/json")])


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"code": code, "message": message}, status, headers)
