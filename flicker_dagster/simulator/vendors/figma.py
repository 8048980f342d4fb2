"""Figma's activity logs (https://developers.figma.com/docs/rest-api/activity-logs/): oldest first, with a cursor of the
last event that can be kept and polled with."""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any

from flicker_dagster.simulator.checks import content_type, span_of
from flicker_dagster.simulator.grants import FORM, granted
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor

HOST = "api.figma.com"
PATH, TOKEN_PATH = "/v1/activity_logs", "/v1/oauth/refresh"
LARGEST_PAGE = 1_000
YEAR_MS = 365 * 86_400_000
ACTIONS = ("fig_file_export", "fig_file_create", "org_user_create", "team_member_add", "user_password_login")
_SECONDS = re.compile(r"\d{10}")


class Figma(Vendor):
    name = "figma"
    params = {"client_id": "figmaClient01", "client_secret": "figma-secret-01", "refresh_token": "figr-acme-01"}
    traits = frozenset({"copies", "late", "minted", "expired"})
    quota_per_minute = 300
    token_lifetime_s = 90 * 86_400

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = str(663_031_239_808_667 + number * 1_000 + chance.randrange(1_000))
        person, login = chance.choice((("Ana Lopez", "ana"), ("Bob Ray", "bob")))
        event = {
            "id": event_id,
            "timestamp": published_ms // 1000,
            "actor": {"type": "user", "id": "8675309", "name": person, "email": f"{login}@acme.test"},
            "action": {"type": chance.choice(ACTIONS), "details": {"format": "pdf"}},
            "entity": {"type": "file", "key": f"aBc{number}", "name": f"Plan {number}", "editor_type": "figma"},
            "context": {
                "client_name": None,
                "ip_address": an_address(chance),
                "is_figma_support_team_action": False,
                "org_id": "400001",
                "team_id": None,
            },
        }
        return event_id, compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, HOST)

    def _token(self, request: Request) -> Response:
        """The answer holds no new refresh token: the one there is stays."""
        if request.method != "POST" or content_type(request) != FORM:
            return _error(400, "expected a form by POST")
        if request.basic() != (self.params["client_id"], self.token or self.params["client_secret"]):
            return _error(401, "Invalid client id or client secret")
        if request.form.get("grant_type", "refresh_token") != "refresh_token":
            return _error(400, "Unsupported grant type")
        if request.form.get("refresh_token") != self.params["refresh_token"]:
            return _error(400, "Invalid refresh token")
        return granted(self.minting, prefix="figu_", token_type="bearer")

    # -- activity

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, "Invalid token")

    def limited(self, wait_s: float) -> Response:
        kinds = [("X-Figma-Plan-Tier", "enterprise"), ("X-Figma-Rate-Limit-Type", "high")]
        return self.too_many([("Retry-After", str(math.ceil(wait_s))), *kinds])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Rate limit exceeded", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        if request.path != PATH or not is_for(request, HOST) or request.method != "GET":
            return _error(404, "Not found")
        unknown = request.unknown("start_time", "end_time", "limit", "order", "events", "cursor")
        limit = request.number("limit", LARGEST_PAGE, least=1, most=LARGEST_PAGE)
        order = request.query.get("order", "asc")
        now_ms = self.emitter.now_ms()
        span = span_of(request, "start_time", "end_time", _SECONDS, now_ms=now_ms, fmt="unix")
        if unknown or limit is None or order not in ("asc", "desc") or span is None:
            return _error(
                400, f"Invalid parameter: {unknown[0] if unknown else 'limit, order, start_time or end_time'}"
            )
        start_ms = span[0] if "start_time" in request.query else now_ms - YEAR_MS
        newest_first = order == "desc"
        events = by_event_time(self.emitter, start_ms, span[1] // 1000 * 1000 + 999, newest_first=newest_first)
        kinds = request.query.get("events")
        if kinds:
            events = [each for each in events if json.loads(each.body)["action"]["type"] in kinds.split(",")]
        cursor = request.query.get("cursor") or None
        page = page_after(events, limit, cursor, order, newest_first=newest_first, expired=expired)
        if page is None:
            return _error(400, "Invalid cursor")
        meta: dict[str, Any] = {"activity_logs": raw(page.events), "next_page": page.more}
        if page.last is not None:  # where nothing came there is no new cursor: the one that was sent stays good
            meta["cursor"] = page.last
        return document({"status": 200, "error": False, "meta": meta})


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"status": status, "error": True, "message": message}, status, headers)
