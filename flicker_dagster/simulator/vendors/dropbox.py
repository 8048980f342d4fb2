"""Dropbox's team log (https://github.com/dropbox/dropbox-api-spec, team_log): one call begins a listing, another goes on
with its cursor, for ever where it has no end. Events have no ids and no order."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from flicker_dagster.simulator.alike import Alike, once_each
from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.grants import client_of, fault_of_request, granted, refused
from flicker_dagster.simulator.listings import cursor_of, place_of
from flicker_dagster.simulator.making import an_address, whole_seconds
from flicker_dagster.simulator.pages import SECONDS_Z, document, is_for, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms

API, OAUTH = "api.dropboxapi.com", "api.dropbox.com"
PATH, CONTINUE, TOKEN_PATH = "/2/team_log/get_events", "/2/team_log/get_events/continue", "/oauth2/token"
LARGEST_PAGE = 1_000
SECOND = "%Y-%m-%dT%H:%M:%SZ"
TYPES = (
    ("sharing", "shared_content_download", "(sharing) Downloaded shared file/folder"),
    ("logins", "login_success", "(logins) Signed in"),
    ("members", "member_add_name", "(members) Added team member name"),
)


class Dropbox(Vendor):
    name = "dropbox"
    id_path = None
    params = {"app_key": "dropboxapp01", "app_secret": "dropbox-secret-01", "refresh_token": "dbx-refresh-01"}
    traits = frozenset({"late", "minted", "empty", "expired"})
    quota_per_minute = 1_000
    token_lifetime_s = 14_400
    equal_rows: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        self._alike = Alike()
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        return self._alike.row("", published_ms, chance, lambda: _event(number, published_ms, chance))

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, API, OAUTH)

    def _token(self, request: Request) -> Response:
        fault = fault_of_request(request, "refresh_token")
        if fault is not None:
            return refused(*fault)
        if client_of(request) != (self.params["app_key"], self.token or self.params["app_secret"]):
            return refused("invalid_client", "Invalid client_id or client_secret")
        if request.form.get("refresh_token") != self.params["refresh_token"]:
            return refused("invalid_grant", "refresh token is invalid or revoked")
        return granted(self.minting, prefix="sl.", token_type="bearer")

    # -- events

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, "expired_access_token")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        answer = {"error_summary": "too_many_requests/..", "error": {"reason": {".tag": "too_many_requests"}}}
        return Response.json(answer, 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        if request.path not in (PATH, CONTINUE) or not is_for(request, API):
            return Response(404, b"Unknown API function", [("Content-Type", "text/plain")])
        function = request.path.removeprefix("/2/")
        asked = request.json()
        if request.method != "POST" or content_type(request) != "application/json" or not isinstance(asked, dict):
            return _bad_call(function, "expected a JSON object by POST, Content-Type: application/json")
        if request.pairs:
            return _bad_call(function, f"unexpected URL parameter {request.pairs[0][0]!r}")
        if request.path == CONTINUE:
            return self._continued(request, function, asked, expired=expired)
        wrong = _wrong(asked)
        if wrong is not None:
            return _bad_call(function, f"request body: {wrong}")
        time = asked.get("time") or {}
        place = {
            "at": 0,
            "span": [parse_time_ms(time[name]) if name in time else None for name in ("start_time", "end_time")],
            "category": _tag(asked.get("category")),
            "type": _tag(asked.get("event_type")),
            "limit": asked.get("limit", LARGEST_PAGE),
        }
        return self._page(request, place)

    def _continued(self, request: Request, function: str, asked: dict[str, Any], *, expired: bool) -> Response:
        if asked.keys() != {"cursor"} or not isinstance(asked["cursor"], str):
            return _bad_call(function, "request body: expected cursor alone")
        place = place_of(asked["cursor"])
        if place is None:
            return _error(409, "bad_cursor")
        if not expired:
            return self._page(request, place)
        near = self.emitter.stored()[max(0, place["at"] - 1) :]
        reset = whole_seconds(min((event.published_ms for event in near), default=place["span"][0] or 0))
        return Response.json({"error_summary": f"reset/{reset}", "error": {".tag": "reset", "reset": reset}}, 409)

    def _page(self, request: Request, place: dict[str, Any]) -> Response:
        """From a place in the order of arrival; the cursor is another one at every answer, also where nothing came."""
        stored, start = self.emitter.stored(), place["at"]
        end = start if request.fault == "empty" else min(len(stored), start + place["limit"])
        page = [event for event in stored[start:end] if _asked_for(event.published_ms, event.body, place)]
        cursor = cursor_of(**{**place, "at": end, "answer": self.requests})
        return document({"events": once_each(page[::-1]), "cursor": cursor, "has_more": end < len(stored)})


def _event(number: int, published_ms: int, chance: random.Random) -> dict[str, Any]:
    person, login = chance.choice((("Ana Lopez", "ana"), ("Bob Ray", "bob")))
    category, kind, description = chance.choice(TYPES)
    member = {
        ".tag": "team_member",
        "account_id": f"dbid:AA{login}",
        "display_name": person,
        "email": f"{login}@acme.test",
        "team_member_id": f"dbmid:AA{login}",
    }
    return {
        "timestamp": whole_seconds(published_ms),
        "event_category": {".tag": category},
        "actor": {".tag": "user", "user": member},
        "origin": {
            "geo_location": {"city": "Lyon", "country": "FR", "ip_address": an_address(chance)},
            "access_method": {".tag": "end_user", "end_user": {".tag": "web", "session_id": f"dbwsid:{number}"}},
        },
        "involve_non_team_member": False,
        "context": {".tag": "team_member", "email": f"{login}@acme.test"},
        "participants": [],
        "assets": [{".tag": "file", "path": {"contextual": "/plan.docx"}, "display_name": "plan.docx"}],
        "event_type": {".tag": kind, "description": description},
        "details": {".tag": f"{kind}_details"},
    }


def _wrong(asked: dict[str, Any]) -> str | None:
    """What is wrong with the question that begins a listing."""
    strange = asked.keys() - {"limit", "time", "category", "event_type", "account_id"}
    if strange:
        return f"unknown field {min(strange)!r}"
    limit, time = asked.get("limit", LARGEST_PAGE), asked.get("time") or {}
    if type(limit) is not int or not 1 <= limit <= LARGEST_PAGE:
        return f"limit: expected an integer between 1 and {LARGEST_PAGE}"
    if not isinstance(time, dict) or time.keys() - {"start_time", "end_time"}:
        return "time: expected start_time and end_time"
    for name, text in time.items():
        if not isinstance(text, str) or time_in(text, SECONDS_Z) is None:
            return f"time.{name}: time data {text!r} does not match format {SECOND!r}"
    if len(time) == 2 and time["start_time"] > time["end_time"]:
        return "time: start_time is after end_time"
    return "category and event_type exclude each other" if "category" in asked and "event_type" in asked else None


def _asked_for(published_ms: int, body: bytes, place: dict[str, Any]) -> bool:
    """The start is inclusive, the end is not; both are whole seconds, as the times of events are."""
    second_ms = published_ms // 1000 * 1000
    start_ms, end_ms = place["span"]
    if second_ms < (start_ms or 0) or (end_ms is not None and second_ms >= end_ms):
        return False
    filters = {"event_category": place["category"], "event_type": place["type"]}
    return all(f'"{field}":{{".tag":"{tag}"'.encode() in body for field, tag in filters.items() if tag)


def _tag(value: Any) -> str | None:
    """Of a union: its tag, which may stand alone."""
    return value.get(".tag") if isinstance(value, dict) else value


def _error(status: int, tag: str) -> Response:
    return Response.json({"error_summary": f"{tag}/...", "error": {".tag": tag}}, status)


def _bad_call(function: str, what: str) -> Response:
    """A senseless call is refused in plain text."""
    text = f'Error in call to API function "{function}": {what}'
    return Response(400, text.encode(), [("Content-Type", "text/plain; charset=utf-8")])
