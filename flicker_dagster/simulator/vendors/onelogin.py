"""OneLogin's events, API version 1: a login and a bearer spelled as nowhere else, and a status inside every answer."""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.grants import granted
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import by_time, page_after
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
    tells_wait = "nowhere"

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
            "ipaddr": an_address(chance),
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
        created = rfc3339_ms(self.emitter.now_ms())
        return granted(self.minting, prefix="", token_type="bearer", created_at=created, account_id=12345)

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
        limit = request.number("limit", 50, least=1, most=1_000)
        if limit is None:
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
        place = _by_id if by_id else by_time
        events = sorted(events, key=place, reverse=descending)
        asked = {name: value for name, value in request.query.items() if name not in ("after_cursor", "limit")}
        page = page_after(
            events,
            limit,
            request.query.get("after_cursor"),
            asked,
            place=place,
            newest_first=descending,
            expired=expired,
            empty=request.fault == "empty",
        )
        if page is None:
            return self._bad("after_cursor is invalid")
        cursor = page.following
        following = None if cursor is None else f"{request.base}{PATH}?after_cursor={cursor}"
        pagination = {"before_cursor": None, "after_cursor": cursor, "previous_link": None, "next_link": following}
        return document(_success() | {"pagination": pagination, "data": raw(page.events)})

    def _bad(self, message: str) -> Response:
        return self._refused(400, "bad request", message)

    def _refused(self, code: int, kind: str, message: str) -> Response:
        answer = _status(code, kind, message)
        answer.status = 200 if self.refused_with_200 else code
        return answer


def _by_id(event: Event) -> list[int]:
    return [event.number]


def _success() -> dict[str, Any]:
    return {"status": {"error": False, "code": 200, "type": "success", "message": "Success"}}


def _status(code: int, kind: str, message: str) -> Response:
    return Response.json({"status": {"error": True, "code": code, "type": kind, "message": message}}, code)
