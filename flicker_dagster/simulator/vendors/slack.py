"""Slack's Audit Logs API (https://docs.slack.dev/admins/audit-logs-api): newest first by the second, cursors that
remember a place and nothing else."""

from __future__ import annotations

import random
import uuid

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time, cursor_of, place_of
from flicker_dagster.simulator.pages import beyond, compact, document, is_for, place, raw
from flicker_dagster.simulator.server import Request, Response
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
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
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
                "ip_address": f"203.0.113.{chance.randrange(1, 255)}",
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
        limit = request.number("limit", MOST)
        if span is None or limit is None or not 1 <= limit <= MOST:
            return _error(400, "invalid_arguments")
        events = [
            event for event in by_event_time(self.emitter, *span, newest_first=True) if _asked_for(event, request)
        ]
        before = [span[1] + 1, 0]
        if request.query.get("cursor"):
            kept = place_of(request.query["cursor"])
            if kept is None or expired:
                return _error(400, "invalid_cursor")
            before = kept["before"]
            events = beyond(events, before, newest_first=True)
        page = [] if request.fault == "empty" else _whole_seconds(events, limit)
        more = len(page) < len(events)
        following = cursor_of(before=place(page[-1]) if page else before) if more else ""
        return document({"entries": raw(page), "response_metadata": {"next_cursor": following}})


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
    if wanted and not any(f'"action":"{action}"'.encode() in event.body for action in wanted.split(",")):
        return False
    return all(request.query[name].encode() in event.body for name in ("actor", "entity") if name in request.query)


def _whole_seconds(events: list[Event], limit: int) -> list[Event]:
    """A page goes on to the end of its last second, however many that makes."""
    end = limit
    while 0 < end < len(events) and events[end].published_ms // 1000 == events[end - 1].published_ms // 1000:
        end += 1
    return events[:end]


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
