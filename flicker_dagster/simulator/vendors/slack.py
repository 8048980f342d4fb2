"""Slack's Audit Logs API (https://docs.slack.dev/admins/audit-logs-api): newest first by the second, cursors that
remember a place and nothing else."""

from __future__ import annotations

import random

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import compact, document, holds, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms

HOST = "api.slack.com"
PATH = "/audit/v1/logs"
MOST = 9_999
ACTIONS = ("user_login", "user_logout", "file_downloaded", "public_channel_created", "app_installed")
PEOPLE = (("W123AB456", "Ana Lopez", "ana"), ("W123AB457", "Bob Ray", "bob"), ("W123AB458", "Chi Ono", "chi"))


class Slack(Vendor):
    name = "slack"
    params = {"token": "xoxp-1111111111-2222222222-audit"}
    traits = frozenset({"copies", "late", "empty", "expired"})
    quota_per_minute = 50

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        user_id, person, login = chance.choice(PEOPLE)
        user = {"id": user_id, "name": person, "email": f"{login}@acme.test", "team": "T123ABC456"}
        action = chance.choice(ACTIONS)
        event = {
            "id": event_id,
            "date_create": published_ms // 1000,
            "action": action,
            "actor": {"type": "user", "user": user},
            "entity": _entity(action, number, user),
            "context": {
                "location": {"type": "enterprise", "id": "E1701NCCA", "name": "Acme", "domain": "acme"},
                "ua": "Mozilla/5.0",
                "ip_address": an_address(chance),
                "session_id": str(847288190092 + number),
            },
            "details": {},
        }
        return event_id, compact(event)

    def authorize(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            return _error(401, "not_authed")
        return None if scheme == "Bearer" and token == (self.token or self.params["token"]) else self.unauthorized()

    def unauthorized(self) -> Response:
        return _error(401, "invalid_auth")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "ratelimited", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST) or request.path != PATH:
            return _error(404, "unknown_method")
        if request.method != "GET":
            return _error(405, "method_not_allowed")
        if request.unknown("oldest", "latest", "limit", "action", "actor", "entity", "cursor"):
            return _error(400, "invalid_arguments")
        span = _span(request, self.emitter.now_ms())
        limit = request.number("limit", MOST, least=1, most=MOST)
        if span is None or limit is None:
            return _error(400, "invalid_arguments")
        events = [
            event for event in by_event_time(self.emitter, *span, newest_first=True) if _asked_for(event, request)
        ]
        page = page_after(
            events,
            limit,
            request.query.get("cursor") or None,
            None,
            newest_first=True,
            expired=expired,
            empty=request.fault == "empty",
            whole_ms=1000,  # a page goes on to the end of its last second, however many events that makes
        )
        if page is None:
            return _error(400, "invalid_cursor")
        return document({"entries": raw(page.events), "response_metadata": {"next_cursor": page.following or ""}})


def _span(request: Request, now_ms: int) -> tuple[int, int] | None:
    """Whole seconds, both edges inclusive. None for what is no time in seconds, and for an inverted span."""
    times: list[int] = []
    for name, default in (("oldest", 0), ("latest", now_ms // 1000)):
        second = request.number(name, default)
        if second is None or (name in request.query and parse_time_ms(second, "unix") is None):
            return None
        times.append(second)
    return None if times[0] > times[1] else (times[0] * 1000, times[1] * 1000 + 999)


def _asked_for(event: Event, request: Request) -> bool:
    """Do the filters let it pass? `action` is a list with commas, `actor` and `entity` are ids."""
    wanted = request.query.get("action", "")
    if wanted and not holds(event, "action", *wanted.split(",")):
        return False
    return all(request.query[name].encode() in event.body for name in ("actor", "entity") if name in request.query)


def _entity(action: str, number: int, user: dict[str, str]) -> dict[str, object]:
    if action == "file_downloaded":
        file = {"id": f"F{number:09d}", "name": f"plan-{number}.pdf", "filetype": "pdf", "title": "Plan"}
        return {"type": "file", "file": file}
    if action == "public_channel_created":
        channel = {"id": f"C{number:09d}", "name": f"project-{number}", "privacy": "public", "is_shared": False}
        return {"type": "channel", "channel": channel}
    return {"type": "user", "user": user}


def _error(status: int, code: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"ok": False, "error": code}, status, headers)
