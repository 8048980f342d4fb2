"""OneLogin's events, API version 1: a login and a bearer spelled as nowhere else, and a status inside every answer."""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time, cursor_of, place_of
from flicker_dagster.simulator.pages import compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms

SUBDOMAIN = "acme"
HOST = f"{SUBDOMAIN}.onelogin.com"
PATH, TYPES_PATH, TOKEN_PATH = "/api/1/events", "/api/1/events/types", "/auth/oauth2/v2/token"
TIME = r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,3})?Z)?"
FILTERS = ("event_type_id", "user_id")
TYPES = {
    5: "USER_LOGGED_INTO_ONELOGIN",
    6: "USER_FAILED_ONELOGIN_LOGIN",
    8: "USER_LOGGED_INTO_APP",
    11: "PASSWORD_CHANGED",
}
_LOGIN = re.compile(r"client_id:\s*([^,\s]+),\s*client_secret:\s*(\S+)")


class OneLogin(Vendor):
    """`since` and `until` are taken to the second. With `refused_with_200` a refusal of what was asked, or of the token,
    stands in `status` only, and the HTTP status says nothing of it."""

    name = "onelogin"
    params = {
        "subdomain": SUBDOMAIN,
        "client_id": "1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b",
        "client_secret": "9f8e7d6c5b4a39281706f5e4d3c2b1a0ffeeddcc",
    }
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    token_lifetime_s = 36_000
    tells_wait = False

    def __init__(self, *, refused_with_200: bool = False, **options: Any) -> None:
        self.refused_with_200 = refused_with_200
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = 7_812_345_678 + number
        person = chance.choice(("Ana Egger", "Bob Ray", "Chi Lam", "Dee Orr"))
        event = {
            "id": event_id,
            "created_at": rfc3339_ms(published_ms),
            "account_id": 12345,
            "user_id": 98_765,
            "user_name": person,
            "event_type_id": chance.choice(tuple(TYPES)),
            "ipaddr": f"203.0.113.{chance.randrange(1, 255)}",
            "actor_user_id": 98_765,
            "actor_user_name": person,
            "app_id": None,
            "app_name": None,
            "risk_score": chance.randrange(100),
            "notes": None,
        }
        return str(event_id), compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def _token(self, request: Request) -> Response:
        if request.method != "POST":
            return _status(405, "Method Not Allowed", "expected POST")
        body = request.json()
        asked = request.query if not isinstance(body, dict) else request.query | body
        if asked.get("grant_type") != "client_credentials":
            return _status(400, "bad request", "grant_type is incorrect")
        given = _LOGIN.fullmatch(request.headers.get("authorization", ""))
        if given is None or (given[1], given[2]) != (self.params["client_id"], self.params["client_secret"]):
            return _status(401, "Unauthorized", "Authentication Failure")
        token = self.minting.mint(prefix="")
        answer = {"access_token": token, "created_at": rfc3339_ms(self.emitter.now_ms()), "token_type": "bearer"}
        return Response.json(answer | {"expires_in": int(self.token_lifetime_s), "account_id": 12345})

    def is_authorized(self, request: Request) -> bool:
        scheme, colon, token = request.headers.get("authorization", "").partition(":")
        return (scheme, colon) == ("bearer", ":") and self.minting.accepts(token)

    def unauthorized(self) -> Response:
        return self._refused(401, "Unauthorized", "Authentication Failure")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        answer = _status(429, "Too Many Requests", "Rate limit exceeded")
        answer.headers += headers
        return answer

    # -- events

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return _status(404, "Not Found", "no such account")
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.method != "GET" or request.path not in (PATH, TYPES_PATH):
            return _status(404, "Not Found", "Not Found")
        if request.path == TYPES_PATH:
            return document(_success() | {"data": [{"id": number, "name": name} for number, name in TYPES.items()]})
        unknown = request.unknown("since", "until", "limit", "sort", "after_cursor", *FILTERS)
        if unknown:
            return self._bad(f"{unknown[0]} is no parameter, or not simulated")
        limit = request.number("limit", 50)
        if limit is None or not 1 <= limit <= 1_000:
            return self._bad("limit must be between 1 and 1000")
        if request.query.get("sort", "+id") not in ("+id", "-id"):
            return self._bad("sort must be +id or -id")
        times = {name: time_in(request.query[name], TIME) for name in ("since", "until") if name in request.query}
        if None in times.values():
            return self._bad("since and until must be ISO 8601 in UTC")
        return self._page(request, times, limit, expired=expired)

    def _page(self, request: Request, times: dict[str, int | None], limit: int, *, expired: bool) -> Response:
        since_ms, until_ms = times.get("since"), times.get("until")
        events = by_event_time(
            self.emitter,
            None if since_ms is None else since_ms // 1000 * 1000,
            None if until_ms is None else until_ms // 1000 * 1000 + 999,
        )
        for name in FILTERS:
            if name in request.query:
                events = [event for event in events if f'"{name}":{request.query[name]},'.encode() in event.body]
        by_id, descending = "sort" in request.query, request.query.get("sort") == "-id"
        events = sorted(events, key=lambda event: _place(event, by_id), reverse=descending)
        asked = {name: value for name, value in request.query.items() if name not in ("after_cursor", "limit")}
        after = None
        if "after_cursor" in request.query:
            kept = None if expired else place_of(request.query["after_cursor"])
            if kept is None or kept.get("asked") != asked:
                return self._bad("after_cursor is invalid")
            after = kept["after"]
        if after is not None:
            places = [(event, _place(event, by_id)) for event in events]
            events = [event for event, place in places if (place < after if descending else place > after)]
        page = [] if request.fault == "empty" else events[:limit]
        cursor = None
        if len(page) < len(events) or request.fault == "empty":
            cursor = cursor_of(asked=asked, after=_place(page[-1], by_id) if page else after)
        following = None if cursor is None else f"{request.base}{PATH}?after_cursor={cursor}"
        pagination = {"before_cursor": None, "after_cursor": cursor, "previous_link": None, "next_link": following}
        return document(_success() | {"pagination": pagination, "data": raw(page)})

    def _bad(self, message: str) -> Response:
        return self._refused(400, "bad request", message)

    def _refused(self, code: int, kind: str, message: str) -> Response:
        answer = _status(code, kind, message)
        answer.status = 200 if self.refused_with_200 else code
        return answer


def _place(event: Event, by_id: bool) -> list[int]:
    return [0 if by_id else event.published_ms, event.number]


def _success() -> dict[str, Any]:
    return {"status": {"error": False, "code": 200, "type": "success", "message": "Success"}}


def _status(code: int, kind: str, message: str) -> Response:
    return Response.json({"status": {"error": True, "code": code, "type": kind, "message": message}}, code)
