"""Auth0's tenant logs: read on from a log id, in the order in which they were stored; or searched, a thousand at most."""

from __future__ import annotations

import random
import re
from typing import Any
from urllib.parse import urlencode

from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.grants import granted, refused
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.pages import compact, document, is_for, link_header, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import datetime_of, rfc3339_ms

DOMAIN = "acme.eu.auth0.com"
PATH, TOKEN_PATH = "/api/v2/logs", "/oauth/token"
DAY_MS = 86_400_000
MOST_FOUND = 1_000
LONGEST_TARGET = 8_192
SEARCH = ("q", "page", "per_page", "sort", "include_totals")
_DATES = re.compile(r"date:([\[{])(\S+) TO (\S+)([\]}])")
TIME = r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,3})?Z?)?|\*"
TYPES = (
    ("s", "Success Login"),
    ("f", "Failed Login"),
    ("sapi", "Update tenant settings"),
    ("seacft", "Success Exchange"),
)


class Auth0(Vendor):
    """Log ids sort by when a row was stored, so that late ones come last; they may be made up from a time. `kept_days` is
    1 in the smallest plan: what is older is not listed, and nobody is told."""

    name = "auth0"
    id_path = "log_id"
    params = {
        "domain": DOMAIN,
        "client_id": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
        "client_secret": "simulated-secret-of-the-machine-to-machine-application",
    }
    traits = frozenset({"copies", "late", "minted"})
    quota_per_minute = 960
    tells_wait = "quota"
    token_lifetime_s = 86_400

    def __init__(self, *, kept_days: int = 30, **options: Any) -> None:
        self.kept_days = kept_days
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        stored_ms = max(self.arriving_ms(stream, published_ms), published_ms)
        when = f"{datetime_of(stored_ms):%Y%m%d%H%M%S}{stored_ms % 1000:03d}"
        event_id = f"900{when}{'1223372036854775001':0>20}{number:016d}"
        kind, description = chance.choice(TYPES)
        person = chance.choice(("ana", "bob", "chi", "dee"))
        event = {
            "date": rfc3339_ms(published_ms),
            "type": kind,
            "description": description,
            "client_id": "a1B2c3",
            "client_name": "Console",
            "ip": f"198.51.100.{chance.randrange(1, 255)}",
            "user_agent": "Mozilla/5.0",
            "user_id": f"auth0|{chance.getrandbits(96):024x}",
            "user_name": f"{person}@acme.test",
            "log_id": event_id,
            "_id": event_id,
            "isMobile": False,
            "details": {"request": {"method": "patch", "path": "/api/v2/tenants/settings"}},
        }
        return event_id, compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def _token(self, request: Request) -> Response:
        if request.method != "POST":
            return _error(404, "Not Found", "Not Found")
        body = request.json() if content_type(request) == "application/json" else request.form
        asked = body if isinstance(body, dict) else {}
        if asked.get("grant_type") != "client_credentials":
            return refused("unauthorized_client", f"Grant type '{asked.get('grant_type')}' not allowed.", 403)
        if any(asked.get(name) != self.params[name] for name in ("client_id", "client_secret")):
            return refused("access_denied", "Unauthorized", 401)
        if asked.get("audience") != f"https://{DOMAIN}/api/v2/":
            return refused("access_denied", f"Service not found: {asked.get('audience')}", 403)
        return granted(self.minting, scope="read:logs")

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, "Unauthorized", "Invalid token", "invalid_token")

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-RateLimit", self.per_minute, remaining, reset_s)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Too Many Requests", "Global limit has been reached", "too_many_requests", headers)

    # -- the log

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, DOMAIN):
            return _error(404, "Not Found", "Not Found")
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.path != PATH or request.method != "GET":
            return _error(404, "Not Found", "Not Found")
        if len(request.target) > LONGEST_TARGET:
            return Response(414)
        unknown = request.unknown("from", "take", *SEARCH)
        if unknown:
            return _bad(f"Additional properties not allowed: {unknown[0]}")
        kept = by_event_time(self.emitter, self.emitter.now_ms() - self.kept_days * DAY_MS)
        return self._read_on(request, kept) if "from" in request.query else self._search(request, kept)

    def _read_on(self, request: Request, kept: list[Event]) -> Response:
        """Rows of ids beyond `from`; an empty page names itself as the next one."""
        take = request.number("take", 50, least=1, most=100)
        if take is None:
            return _bad("take must be between 1 and 100")
        begin = request.query["from"]
        if not begin.isascii() or not begin.isdigit():
            return _bad("String does not match pattern: from")
        page = sorted((event for event in kept if event.id > begin), key=lambda event: event.id)[:take]
        link = f"{request.base}{request.target}"
        if page:
            following = {name: request.query[name] for name in ("take",) if name in request.query}
            link = f"{request.base}{PATH}?{urlencode(following | {'from': page[-1].id})}"
        return document(raw(page), [link_header(next=link)])

    def _search(self, request: Request, kept: list[Event]) -> Response:
        page, per_page = request.number("page", 0, least=0), request.number("per_page", 50, least=0, most=100)
        if page is None or per_page is None:
            return _bad("page or per_page is out of range")
        if (page + 1) * per_page > MOST_FOUND:
            return _bad(f"You can only page through the first {MOST_FOUND} records")
        order = request.query.get("sort", "date:-1")
        if order not in ("date:1", "date:-1"):
            return _bad("String does not match pattern: sort")
        found = _found(request.query.get("q", ""), kept)
        if found is None:
            return _bad("Failed to parse query")
        found = found[::-1] if order == "date:-1" else found
        rows = raw(found[page * per_page : (page + 1) * per_page])
        if request.query.get("include_totals") == "true":
            return document(
                {"start": page * per_page, "limit": per_page, "length": len(rows), "total": len(found), "logs": rows}
            )
        return document(rows)


def _found(q: str, events: list[Event]) -> list[Event] | None:
    """Events of the span of a search; None for what is not simulated, or no search."""
    if not q:
        return events
    dates = _DATES.fullmatch(q)
    if dates is None or not all(re.fullmatch(TIME, dates[at]) for at in (2, 3)):
        return None
    first, last = (time_in(dates[at], TIME) for at in (2, 3))
    first = 0 if first is None else first + (dates[1] == "{")
    last = None if last is None else last - (dates[4] == "}")
    return [event for event in events if first <= event.published_ms and (last is None or event.published_ms <= last)]


def _bad(message: str) -> Response:
    return _error(400, "Bad Request", f"Query validation error: '{message}'.", "invalid_query_string")


def _error(
    status: int, error: str, message: str, code: str = "", headers: list[tuple[str, str]] | None = None
) -> Response:
    answer = {"statusCode": status, "error": error, "message": message} | ({"errorCode": code} if code else {})
    return Response.json(answer, status, headers)
