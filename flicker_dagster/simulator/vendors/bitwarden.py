"""Bitwarden's public API: organization events, newest first, fifty a page, with the tokens of either storage behind it."""

from __future__ import annotations

import random
import uuid
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import compact, document, holds, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import datetime_of

HOST, TOKEN_HOST = "api.bitwarden.com", "identity.bitwarden.com"
PATH, TOKEN_PATH = "/public/events", "/connect/token"
DAY_MS = 86_400_000
WIDEST_MS = 367 * DAY_MS
PAGE = 50
IDS = ("itemId", "collectionId", "groupId", "policyId", "memberId", "installationId", "secretId", "projectId")
FILTERS = ("actingUserId", "itemId", "secretId", "projectId")


class Bitwarden(Vendor):
    """`storage` is `cloud`, whose tokens are opaque and whose pages may be short, or `sql` (self-hosted): there the token is
    the time of the last row, the next page lists what is strictly before it, whatever `end` says, and rows of that very
    time are lost."""

    name = "bitwarden"
    id_path = None
    params = {
        "client_id": "organization.5d9bd1f5-6c4e-4b0b-9a3b-7a1d2c3e4f50",
        "client_secret": "simulatedSecretOfTheOrgani",
    }
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    quota_per_minute = 200

    def __init__(self, *, storage: str = "cloud", **options: Any) -> None:
        self.storage = storage
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        about = chance.choice(IDS)
        fraction = f".{published_ms % 1000:03d}".rstrip("0").rstrip(".")  # .NET writes no zeros that say nothing
        event: dict[str, Any] = {"object": "event", "type": chance.choice((1000, 1005, 1107, 1700))}
        event |= dict.fromkeys(IDS, None)
        event[about] = a_uuid(chance)
        event |= {
            "actingUserId": str(uuid.UUID(int=chance.randrange(20), version=4)),
            "date": f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}{fraction}Z",
            "device": chance.choice((2, 9, 10)),
            "ipAddress": an_address(chance),
            "serviceAccountId": None,
        }
        return content_of(event), compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, TOKEN_HOST)

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return Response(401, b"", [("WWW-Authenticate", 'Bearer error="invalid_token"')])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        answer = _error(429, "Slow down! Too many requests. Try again soon.")
        answer.headers += headers
        return answer

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            clients = {self.params["client_id"]: self.params["client_secret"]}
            must = {"scope": "api.organization"}
            return token_for_client(request, self.minting, clients, must=must)
        if request.path != PATH or not is_for(request, HOST):
            return Response(404)
        if request.method != "GET":
            return Response(405)
        unknown = request.unknown("start", "end", "continuationToken", *FILTERS)
        if unknown:
            return _error(400, f"The parameter '{unknown[0]}' is not known.")
        span = self._span(request)
        if isinstance(span, Response):
            return span
        events = by_event_time(self.emitter, *span, newest_first=True)
        for name in FILTERS:
            if name in request.query:
                events = [event for event in events if holds(event, name, request.query[name])]
        token = request.query.get("continuationToken")
        if self.storage == "sql":
            return self._by_time(request, token, events, span[0], expired=expired)
        asked = {name: value for name, value in request.query.items() if name != "continuationToken"}
        size = PAGE - 7 if token is None else PAGE  # a page may be short although it is not the last one
        empty = request.fault == "empty"
        page = page_after(events, size, token, asked, newest_first=True, expired=expired, empty=empty)
        if page is None:
            return _error(400, "The continuation token is not valid.")
        return _list(page.events, page.following)

    def _span(self, request: Request) -> tuple[int, int] | Response:
        """First and last instant, both inclusive. One of the two alone counts for nothing."""
        day_ms = self.emitter.now_ms() // DAY_MS * DAY_MS
        given = [request.query[name] for name in ("start", "end") if name in request.query]
        times = [rfc3339_of(text) for text in given]
        if None in times:
            return _error(400, f"The value '{given[times.index(None)]}' is not valid.")
        bounds = sorted(ms for ms in times if ms is not None)
        if len(bounds) < 2:
            return day_ms - 30 * DAY_MS, day_ms + DAY_MS - 1
        if bounds[1] - bounds[0] > WIDEST_MS:
            return _error(400, "Range too large.")
        return bounds[0], bounds[1]

    def _by_time(
        self, request: Request, token: str | None, events: list[Event], start_ms: int, *, expired: bool
    ) -> Response:
        if token is not None:
            before_ms = None if expired else rfc3339_of(token)
            if before_ms is None:
                return _error(400, "The continuation token is not valid.")
            events = by_event_time(self.emitter, start_ms, before_ms, end_inclusive=False, newest_first=True)
        page = [] if request.fault == "empty" else events[:PAGE]
        if not page:
            return _list([], token)
        last_ms = page[-1].published_ms
        following = f"{datetime_of(last_ms):%Y-%m-%dT%H:%M:%S}.{last_ms % 1000:03d}0000Z"
        return _list(page, following if len(page) < len(events) else None)


def _list(events: list[Event], token: str | None) -> Response:
    return document({"object": "list", "data": raw(events), "continuationToken": token})


def _error(status: int, message: str) -> Response:
    return Response.json({"object": "error", "message": message, "errors": None}, status)
