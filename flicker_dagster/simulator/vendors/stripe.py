"""Stripe's events: newest first, whole seconds, pages before and after an event's id, kept for 30 days."""

from __future__ import annotations

import random
import re

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms

HOST, PATH = "api.stripe.com", "/v1/events"
KEPT_MS = 30 * 86_400_000
CREATED = re.compile(r"created(?:\[(gte|gt|lte|lt)\])?")
OTHERS = ("limit", "starting_after", "ending_before", "type", "types[]", "delivery_success")
TYPES = ("customer.updated", "account.updated", "payout.paid", "api_key.created")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Stripe(Vendor):
    name = "stripe"
    id_path = "id"
    params = {"api_key": "rk_live_sim5f0c2d1e9c1d0e7f"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 6_000
    tells_wait = "nowhere"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = "evt_1" + "".join(chance.choice(_ALPHABET) for _ in range(23))
        event = {
            "id": event_id,
            "object": "event",
            "account": None,
            "api_version": "2024-04-10",
            "created": published_ms // 1000,
            "livemode": True,
            "pending_webhooks": 0,
            "type": chance.choice(TYPES),
            "request": {"id": f"req_{number}", "idempotency_key": None},
            "data": {
                "object": {"id": f"cus_{chance.randrange(10**6)}", "object": "customer"},
                "previous_attributes": {"email": "old@acme.test"},
            },
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        """The key is a Basic user without a password, or a Bearer token."""
        key = self.params["api_key"]
        return request.basic() == (key, "") or request.credentials("Bearer") == key

    def unauthorized(self) -> Response:
        return _error(401, "Invalid API Key provided")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        """It says that the request may be repeated, not when."""
        told = [("Stripe-Should-Retry", "true"), *headers]
        return _error(429, "Request rate limit exceeded.", code="rate_limit", headers=told)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST) or request.method != "GET":
            return _error(404, f"Unrecognized request URL ({request.method}: {request.path}).")
        query = request.query
        unknown = [name for name in query if name not in OTHERS and not CREATED.fullmatch(name)]
        if unknown:
            return _error(400, f"Received unknown parameter: {unknown[0]}", unknown[0], "parameter_unknown")
        limit = request.number("limit", 10, least=1, most=100)
        if limit is None:
            return _error(400, "Invalid integer: limit must be between 1 and 100", "limit", "parameter_invalid_integer")
        for one, other in (("starting_after", "ending_before"), ("type", "types[]")):
            if one in query and other in query:
                return _error(400, f"You may only specify one of these parameters: {one}, {other}.")
        span = self._span(query)
        if isinstance(span, Response):
            return span
        kept_ms = self.emitter.now_ms() - KEPT_MS
        kept = by_event_time(self.emitter, kept_ms, newest_first=True)
        numbers = {event.id: number for number, event in enumerate(kept)}
        low, high = 0, len(kept)
        for name in ("starting_after", "ending_before"):
            if name in query and (expired or query[name] not in numbers):
                return _error(400, f"No such event: '{query[name]}'", name, "resource_missing")
        if "starting_after" in query:
            low = numbers[query["starting_after"]] + 1
        if "ending_before" in query:
            high = numbers[query["ending_before"]]
        wanted = [value for name, value in request.pairs if name in ("type", "types[]")]
        found = [event for event in kept[low:high] if span[0] <= event.published_ms <= span[1] and _fits(event, wanted)]
        page = found[-limit:] if "ending_before" in query else found[:limit]
        return document({"object": "list", "url": PATH, "has_more": len(found) > limit, "data": raw(page)})

    def _span(self, query: dict[str, str]) -> tuple[int, int] | Response:
        """First and last millisecond of the seconds that are asked for."""
        start_ms, end_ms = 0, self.emitter.now_ms()
        for name, text in query.items():
            bound = CREATED.fullmatch(name)
            if bound is None:
                continue
            ms = parse_time_ms(text, "unix") if text.isdigit() else None
            if ms is None:
                return _error(400, f"Invalid integer: {text}", name, "parameter_invalid_integer")
            if bound[1] in (None, "gte", "gt"):
                start_ms = max(start_ms, ms + (1000 if bound[1] == "gt" else 0))
            if bound[1] in (None, "lte", "lt"):
                end_ms = min(end_ms, ms - 1 if bound[1] == "lt" else ms + 999)
        return start_ms, end_ms


def _fits(event: Event, wanted: list[str]) -> bool:
    patterns = [re.escape(kind).replace(r"\*", ".*") for kind in wanted]
    return not wanted or any(re.search(f'"type":"{pattern}"'.encode(), event.body) for pattern in patterns)


def _error(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> Response:
    error = {"type": "invalid_request_error", "message": message, "param": param, "code": code}
    return Response.json({"error": {name: said for name, said in error.items() if said is not None}}, status, headers)
