"""Zoom's reports of sign-in activities and operation logs (https://developers.zoom.us/docs/api/): whole days only, rows
without ids, page tokens that live a quarter of an hour. Tokens come from a server-to-server OAuth app."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from typing import Any, ClassVar

from flicker_dagster.simulator.alike import Alike, once_each
from flicker_dagster.simulator.grants import granted
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address, whole_seconds
from flicker_dagster.simulator.pages import document, holds, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, parse_time_ms

API, OAUTH = "api.zoom.us", "zoom.us"
TOKEN_PATH = "/oauth/token"
REPORTS = {
    "/v2/report/activities": ("sign_in_activities", "activity_logs"),
    "/v2/report/operationlogs": ("operation_logs", "operation_logs"),
}
DAY_MS = 86_400_000
WIDEST, OLDEST = timedelta(days=31), timedelta(days=183)
PAGE_TOKEN_LIFE_S = 900
PEOPLE = ("ana", "bob", "chi", "dee", "eva")
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(T.*)?")  # of a date-time, Zoom reads the day


class Zoom(Vendor):
    """`scopes` are those that the app was given."""

    name = "zoom"
    streams = ("sign_in_activities", "operation_logs")
    id_path = None
    params = {"account_id": "aCc0unt-1dOfAcme", "client_id": "zoomClient01", "client_secret": "zoom-secret-01"}
    traits = frozenset({"late", "minted", "expired"})
    quota_per_minute = 600
    equal_rows: ClassVar[bool] = True

    def __init__(self, *, scopes: str = "report:read:admin", **options: Any) -> None:
        self.scopes = scopes
        self._alike = Alike()
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        make = _sign_in if stream == "sign_in_activities" else _operation
        time = whole_seconds(published_ms)
        return self._alike.row(stream, published_ms, chance, lambda: make(number, time, chance))

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, OAUTH)

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, 124, "Invalid access token.")

    def limited(self, wait_s: float) -> Response:
        """The daily limit says when it ends as an ISO time, to the second."""
        at_ms = -int(-(self.clock() + wait_s) // 1) * 1000
        return self.too_many([("X-RateLimit-Type", "Daily-limit"), ("Retry-After", whole_seconds(at_ms))])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        heavy = [("X-RateLimit-Category", "Heavy"), *headers]
        return _error(429, 429, "You have reached the maximum daily rate limit for this API.", heavy)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [
            ("X-RateLimit-Category", "Heavy"),
            ("X-RateLimit-Type", "Daily-limit"),
            ("X-RateLimit-Limit", str(self.per_minute)),
            ("X-RateLimit-Remaining", str(remaining)),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        stream, field = REPORTS.get(request.path, ("", ""))
        if not stream or not is_for(request, API) or request.method != "GET":
            return _error(404, 404, "This API endpoint is not recognized.")
        if "report:read:admin" not in self.scopes.split():
            return _error(400, 4711, "Invalid access token, does not contain scopes:[report:read:admin].")
        more_known = ("category_type",) if stream == "operation_logs" else ()
        unknown = request.unknown("from", "to", "page_size", "next_page_token", *more_known)
        if unknown:
            return _error(400, 300, f"Invalid field: {unknown[0]}.")
        span = self._span(request)
        if isinstance(span, str):
            return _error(400, 300, span)
        size = request.number("page_size", 30, least=1, most=300)
        if size is None:
            return _error(400, 300, "The value of page_size must be between 1 and 300.")
        return self._page(request, stream, field, span, size, expired=expired)

    def _page(
        self, request: Request, stream: str, field: str, span: tuple[date, date], size: int, *, expired: bool
    ) -> Response:
        start_ms, end_ms = (parse_time_ms(day.isoformat()) or 0 for day in span)
        events = by_event_time(self.emitters[stream], start_ms, end_ms + DAY_MS - 1, newest_first=True)
        category = request.query.get("category_type")
        if category is not None:
            events = [event for event in events if holds(event, "category_type", category)]
        bound = [stream, start_ms, end_ms, size]
        until_s, _, cursor = request.query.get("next_page_token", "").partition(".")
        expired = expired or (until_s.isdecimal() and self.clock() >= int(until_s))
        page = page_after(events, size, cursor if until_s else None, bound, newest_first=True, expired=expired)
        if page is None:
            return _error(400, 300, "The next page token is invalid or expired.")
        following = f"{int(self.clock()) + PAGE_TOKEN_LIFE_S}.{page.last}" if page.more else ""
        answer = {
            "from": span[0].isoformat(),
            "to": span[1].isoformat(),
            "page_size": size,
            "next_page_token": following,
            field: once_each(page.events),
        }
        return document(answer)

    def _span(self, request: Request) -> tuple[date, date] | str:
        """First and last day, both inclusive, or what is wrong with them."""
        today = datetime_of(self.emitter.now_ms()).date()
        days = [_day(request.query.get(name, "")) for name in ("from", "to")]
        first, last = days
        if first is None or last is None:
            return "Invalid field: from and to must be dates (yyyy-mm-dd)."
        if first > last:
            return "The start date must be earlier than the end date."
        if last - first > WIDEST:
            return "The report can only be provided for one month at a time."
        if today - first > OLDEST:
            return "The next available data is within the last six months."
        return "The date must not be in the future." if last > today else (first, last)

    def _token(self, request: Request) -> Response:
        """Its parameters may stand in the address or in the body."""
        given = {**request.form, **request.query}
        if request.method != "POST":
            return _refused("invalid_request", "Bad Request", 405)
        if request.basic() != (self.params["client_id"], self.token or self.params["client_secret"]):
            return _refused("invalid_client", "Invalid client_id or client_secret")
        if given.get("grant_type") != "account_credentials":
            return _refused("unsupported_grant_type", "unsupported grant type")
        if given.get("account_id") != self.params["account_id"]:
            return _refused("invalid_request", "Bad Request")
        return granted(self.minting, token_type="bearer", scope=self.scopes, api_url=f"https://{API}")


def _sign_in(number: int, time: str, chance: random.Random) -> dict[str, Any]:
    return {
        "email": f"{chance.choice(PEOPLE)}@acme.test",
        "time": time,
        "type": chance.choice(("Sign in", "Sign out")),
        "ip_address": an_address(chance),
        "client_type": chance.choice(("Browser", "Client", "Mobile")),
        "version": f"6.{number // 1000}.{number % 1000}",
    }


def _operation(number: int, time: str, chance: random.Random) -> dict[str, Any]:
    person = chance.choice(PEOPLE)
    return {
        "time": time,
        "operator": f"{chance.choice(PEOPLE)}@acme.test",
        "category_type": chance.choice(("User", "Account", "Role")),
        "action": chance.choice(("Update", "Add", "Delete")),
        "operation_detail": f"Change User Type: {person}{number}@acme.test - from Basic to Licensed",
    }


def _day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _error(status: int, code: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"code": code, "message": message}, status, headers)


def _refused(code: str, reason: str, status: int = 400) -> Response:
    return Response.json({"reason": reason, "error": code}, status)
