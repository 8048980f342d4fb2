"""Twilio's Monitor events: newest first, inclusive whole seconds, next pages by whole URLs with a token of the server."""

from __future__ import annotations

import random
from urllib.parse import urlencode

from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address, whole_seconds
from flicker_dagster.simulator.pages import (
    SECONDS_Z,
    compact,
    document,
    is_for,
    raw,
    time_in,
)
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import Page, page_after
from flicker_dagster.simulator.vendor import Vendor

HOST, PATH = "monitor.twilio.com", "/v1/Events"
FILTERS = ("EventType", "ActorSid", "ResourceSid", "SourceIpAddress")
TYPES = ("account.updated", "api-key.created", "phone-number.deleted", "user.logged-in")


class Twilio(Vendor):
    name = "twilio"
    id_path = "sid"
    params = {"account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token": "5f0c2d1e9c1d0e7f8a001b2c3d4e5f60"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 1_200
    tells_wait = "nowhere"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id, account = f"AE{chance.getrandbits(128):032x}", self.params["account_sid"]
        event = {
            "sid": event_id,
            "account_sid": account,
            "actor_sid": "US0123456789abcdef0123456789abcdef",
            "actor_type": "user",
            "description": None,
            "event_date": whole_seconds(published_ms),
            "event_type": chance.choice(TYPES),
            "resource_sid": account,
            "resource_type": "account",
            "source": chance.choice(("web", "api")),
            "source_ip_address": an_address(chance),
            "event_data": {"friendly_name": {"previous": f"A{number}", "updated": f"B{number}"}},
            "url": f"https://{HOST}{PATH}/{event_id}",
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        expected = (self.params["account_sid"], self.params["auth_token"])
        return request.basic() == expected

    def unauthorized(self) -> Response:
        return _error(401, 20003, "Authenticate")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, 20429, "Too Many Requests", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, 20404, f"The requested resource {request.path} was not found")
        if request.method != "GET":
            return _error(405, 20004, "Method not allowed")
        query = request.query
        unknown = request.unknown("StartDate", "EndDate", "PageSize", "Page", "PageToken", *FILTERS)
        if unknown:
            return _error(400, 20001, f"Unknown parameter {unknown[0]}")
        size, number = request.number("PageSize", 50, least=1, most=1000), request.number("Page", 0, least=0)
        if size is None or number is None:
            return _error(400, 20006, "PageSize must be between 1 and 1000, and Page a number")
        if (number > 0) != ("PageToken" in query):
            return _error(400, 20006, "Page goes with the PageToken that was given for it")
        times = {name: time_in(query[name], SECONDS_Z) for name in ("StartDate", "EndDate") if name in query}
        for name, ms in times.items():
            if ms is None:
                return _error(400, 20001, f"{name} is not a valid GMT ISO 8601 date-time")
        start_ms, end_ms = times.get("StartDate"), times.get("EndDate")
        if start_ms is not None and end_ms is not None and end_ms < start_ms:
            return _error(400, 20001, "EndDate must be on or after StartDate")
        end_ms = None if end_ms is None else end_ms + 999
        events = by_event_time(self.emitter, start_ms, end_ms, newest_first=True)
        cursor = query["PageToken"].removeprefix("PA") if "PageToken" in query else None
        page = page_after(events, size, cursor, None, newest_first=True, expired=expired)
        if page is None:
            return _error(400, 20006, "Invalid PageToken")
        return self._listed(request, page, number, size)

    def _listed(self, request: Request, page: Page, number: int, size: int) -> Response:
        asked = {**request.query, "PageSize": str(size)}
        asked.pop("PageToken", None)

        def url(of: int, **token: str) -> str:
            return f"{request.base}{PATH}?{urlencode({**asked, 'Page': str(of), **token})}"

        following = url(number + 1, PageToken=f"PA{page.last}") if page.more else None
        meta = {
            "page": number,
            "page_size": size,
            "first_page_url": url(0),
            "previous_page_url": None,
            "url": f"{request.base}{request.target}",
            "next_page_url": following,
            "key": "events",
        }
        return document({"events": raw(page.events), "meta": meta})


def _error(status: int, code: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return Response.json({"code": code, "message": message, "more_info": more_info, "status": status}, status, headers)
