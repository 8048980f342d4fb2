"""Zendesk's audit logs: newest first unless asked otherwise, cursor or page numbers, times as one parameter given twice."""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.emitter import Event
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
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor

PATHS = ("/api/v2/audit_logs", "/api/v2/audit_logs.json")
CREATED = "filter[created_at][]"
FILTERS = tuple(f"filter[{name}]" for name in ("source_type", "source_id", "actor_id", "ip_address", "action"))
BY_CURSOR = ("page[size]", "page[after]", "page[before]", "sort")
BY_NUMBER = ("page", "per_page", "sort_by", "sort_order")
ACTIONS = (("create", "Created"), ("update", "Updated"), ("destroy", "Deleted"), ("login", "Signed in"))


class Zendesk(Vendor):
    """`edges_listed`: whether an event of exactly the first or the last second asked for is listed; not documented."""

    name = "zendesk"
    id_path = "id"
    params = {"subdomain": "acme", "email": "ana@acme.test", "api_token": "zd-6f1b0c3e8d"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 700

    def __init__(self, *, edges_listed: bool = True, **options: Any) -> None:
        self._edges_listed = edges_listed
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = 498_483_000_000 + 7 * number
        action, label = chance.choice(ACTIONS)
        user = chance.randrange(1_000, 1_400)
        event = {
            "url": f"https://{self.params['subdomain']}.zendesk.com/api/v2/audit_logs/{event_id}.json",
            "id": event_id,
            "actor_id": chance.choice((1234, 1235, -1)),
            "actor_name": "Ana Lopez",
            "source_id": user,
            "source_type": chance.choice(("user", "rule", "account_setting")),
            "source_label": f"User: {user}",
            "action": action,
            "action_label": label,
            "change_description": "Role changed from Administrator to End User",
            "ip_address": an_address(chance),
            "created_at": whole_seconds(published_ms),
        }
        return str(event_id), compact(event)

    def is_authorized(self, request: Request) -> bool:
        expected = (f"{self.params['email']}/token", self.params["api_token"])
        return request.basic() == expected

    def unauthorized(self) -> Response:
        return Response.json({"error": "Couldn't authenticate you"}, 401)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response.json({"error": "APIRateLimitExceeded", "description": "Number of requests"}, 429, headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [("X-Rate-Limit", str(self.per_minute)), ("X-Rate-Limit-Remaining", str(remaining))]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, f"{self.params['subdomain']}.zendesk.com") or request.path not in PATHS:
            return Response.json({"error": "RecordNotFound", "description": "Not found"}, 404)
        if request.method != "GET":
            return Response.json({"error": "MethodNotAllowed", "description": "expected GET"}, 405)
        unknown = request.unknown(CREATED, *FILTERS, *BY_CURSOR, *BY_NUMBER)
        if unknown:
            return _invalid(f"{unknown[0]} is no parameter")
        by_cursor = any(name in request.query for name in BY_CURSOR)
        if by_cursor and any(name in request.query for name in BY_NUMBER):
            return _invalid("page[...] and sort do not go with page, per_page, sort_by and sort_order")
        events = self._found(request)
        if isinstance(events, Response):
            return events
        return self._by_cursor(request, events, expired=expired) if by_cursor else self._by_number(request, events)

    def _found(self, request: Request) -> list[Event] | Response:
        """Oldest first."""
        texts = [value for name, value in request.pairs if name == CREATED]
        times = [time_in(text, SECONDS_Z) for text in texts]
        if len(times) not in (0, 2) or None in times:
            return _invalid(f"{CREATED}: {texts}, expected a start and an end")
        start_ms, end_ms = times or (None, None)
        if start_ms is not None and end_ms is not None:
            if end_ms < start_ms:
                return _invalid(f"{CREATED}: the end is before the start")
            start_ms, end_ms = (
                (start_ms, end_ms + 999) if self._edges_listed else (start_ms + 1_000, max(start_ms, end_ms - 1))
            )
        return by_event_time(self.emitter, start_ms, end_ms)

    def _by_cursor(self, request: Request, events: list[Event], *, expired: bool) -> Response:
        size = request.number("page[size]", 100, least=1, most=100)
        sort = request.query.get("sort", "-created_at")
        if size is None:
            return _invalid("page[size] must be between 1 and 100")
        if sort not in ("created_at", "-created_at"):
            return _invalid(f"sort is not valid: {sort}")
        newest_first = sort[0] == "-"
        events = events[::-1] if newest_first else events
        page = page_after(
            events, size, request.query.get("page[after]"), sort, newest_first=newest_first, expired=expired
        )
        if page is None:
            return _invalid("page[after] is not valid")
        link = f"{request.base}{request.again({'page[after]': page.last})}" if page.more else None
        return document(
            {
                "audit_logs": raw(page.events),
                "meta": {"has_more": page.more, "after_cursor": page.last, "before_cursor": None},
                "links": {"next": link, "prev": None},
            }
        )

    def _by_number(self, request: Request, events: list[Event]) -> Response:
        number, size = request.number("page", 1, least=1), request.number("per_page", 100, least=1, most=100)
        order = request.query.get("sort_order", "desc")
        if number is None or size is None:
            return _invalid("page or per_page is not valid")
        if order not in ("asc", "desc") or request.query.get("sort_by", "created_at") != "created_at":
            return _invalid("sort_by or sort_order is not valid")
        ordered = events[::-1] if order == "desc" else events
        end = number * size
        link = f"{request.base}{request.again({'page': number + 1})}" if end < len(ordered) else None
        page = ordered[end - size : end]
        return document({"audit_logs": raw(page), "next_page": link, "previous_page": None, "count": len(ordered)})


def _invalid(detail: str) -> Response:
    return Response.json(
        {"errors": [{"code": "InvalidParameter", "title": "Invalid parameter", "detail": detail}]}, 400
    )
