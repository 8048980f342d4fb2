"""JumpCloud's Directory Insights: a search by POST, whose next place is in the headers of the answer."""

from __future__ import annotations

import json
import random
from typing import Any

from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.emitter import rows
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, holds, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import beyond, by_time_and_id
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms

HOST, PATH = "api.jumpcloud.com", "/insights/directory/v1/events"
KEPT_MS = 90 * 86_400_000
USUAL, MOST = 1_000, 10_000
SERVICES = (
    *("directory", "sso", "ldap", "radius", "systems", "mdm", "software", "password_manager", "object_storage"),
    *("saas_app_management", "access_management", "alerts", "reports", "user_portal"),
)
KNOWN = frozenset({"service", "start_time", "end_time", "limit", "sort", "search_after", "fields", "search_term"})
TYPES = {"directory": "admin_login_attempt", "sso": "sso_auth", "ldap": "ldap_bind", "systems": "login_attempt"}


class JumpCloud(Vendor):
    """Oldest first, equal times by id. The start is inclusive; the end is not, unless `end_inclusive` says so, for nobody
    wrote down which. A page that is shorter than its limit is the last one, and names a next place all the same. With
    `several_orgs` the administrator has other organisations as well, and a request has to say which one it means."""

    name = "jumpcloud"
    params = {"api_key": "3f1c9a7be0d24c5fb6a8e9d0c1b2a3f4e5d6c7b8"}
    traits = frozenset({"copies", "late"})

    def __init__(
        self,
        *,
        end_inclusive: bool = False,
        org_id: str = "5e1f00a1b2c3d4e5f6a7b8c9",
        several_orgs: bool = False,
        **options: Any,
    ) -> None:
        self.end_inclusive = end_inclusive
        self.several_orgs = several_orgs
        self.org_id = org_id
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"{chance.getrandbits(96):024x}"
        service = chance.choice(tuple(TYPES))
        person = chance.choice(("ana", "bob", "chi", "dee"))
        event = {
            "id": event_id,
            "service": service,
            "event_type": TYPES[service],
            "timestamp": rfc3339_ms(published_ms),
            "success": chance.random() < 0.8,
            "client_ip": an_address(chance),
            "organization": "5e1f00a1b2c3d4e5f6a7b8c9",
            "initiated_by": {"id": f"5f2a{number:020x}", "type": "admin", "email": f"{person}@acme.test"},
            "geoip": {"country_code": "AT"},
            "@version": "1",
        }
        return event_id, compact(event)

    def authorize(self, request: Request) -> Response | None:
        known = self.params["api_key"] if self.token is None else self.token
        if request.headers.get("x-api-key") != known:
            return self.unauthorized()
        named = request.headers.get("x-org-id")
        if named is None and self.several_orgs:
            return _error(401, "Unauthorized: no organization selected")
        if named not in (None, self.org_id):
            return _error(403, "Forbidden")
        return None

    def unauthorized(self) -> Response:
        return _error(401, "Unauthorized")

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, "Not Found")
        if request.method != "POST":
            return _error(405, "Method Not Allowed")
        if content_type(request) != "application/json":
            return _error(415, "Unsupported Media Type")
        body = request.json()
        if not isinstance(body, dict) or request.pairs:
            return _error(400, "invalid request body: expected a JSON object, and no query")
        strange = sorted(body.keys() - KNOWN)
        if strange or body.get("fields") or body.get("search_term"):
            return _error(
                400, f"invalid request body: {strange[0] if strange else 'fields or search_term'} is not simulated"
            )
        services = body.get("service")
        if not isinstance(services, list) or not services or any(each not in ("all", *SERVICES) for each in services):
            return _error(400, "invalid request body: service")
        span = self._span(body)
        if isinstance(span, Response):
            return span
        return self._page(request, body, services, span)

    def _span(self, body: dict[str, Any]) -> tuple[int, int] | Response:
        """First and last instant, both inclusive."""
        now_ms = self.emitter.now_ms()
        start_ms = rfc3339_of(body.get("start_time"))
        end_ms = rfc3339_of(body["end_time"]) if "end_time" in body else now_ms
        if start_ms is None or end_ms is None:
            return _error(400, f"invalid request body: {'start_time' if start_ms is None else 'end_time'}")
        if start_ms > now_ms or ("end_time" in body and end_ms <= start_ms):
            return _error(400, "Start Time not after End Time")
        exclusive = "end_time" in body and not self.end_inclusive
        return max(start_ms, now_ms - KEPT_MS), end_ms - exclusive

    def _page(self, request: Request, body: dict[str, Any], services: list[str], span: tuple[int, int]) -> Response:
        limit = body.get("limit")
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
            limit = USUAL  # without a word, as for a sort of another name
        descending = body.get("sort") == "DESC"
        events = sorted(by_event_time(self.emitter, *span), key=by_time_and_id, reverse=descending)
        if "all" not in services:
            events = [event for event in events if holds(event, "service", *services)]
        after = body.get("search_after")
        if after is not None:
            if not isinstance(after, list) or len(after) != 2 or not isinstance(after[0], int):
                return _error(400, "invalid request body: search_after")
            place = (after[0], str(after[1]))
            events = beyond(events, place, place=by_time_and_id, newest_first=descending)
        page = events[:limit]
        last = list(by_time_and_id(page[-1])) if page else after
        headers = [("X-Result-Count", str(len(rows(page)))), ("X-Limit", str(limit))]
        if last is not None:
            headers.append(("X-Search_after", json.dumps(last, separators=(",", ":"))))
        return document(raw(page), headers)


def _error(status: int, message: str) -> Response:
    return Response.json({"message": message}, status)
