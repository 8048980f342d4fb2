"""CrowdStrike's alerts by REST. An alert changes, so that a row is one version of it: its id and when it was updated.

Every version is listed, as a collector sees them that is never late; with `only_latest` an update takes the place of
what it updated, as in the real listing. Refusals of a question stand in `errors` with status 200, unless told otherwise.
"""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of

TOKEN_PATH, PATH = "/oauth2/token", "/alerts/combined/alerts/v1"
MOST = 1000
SORT = re.compile(r"updated_timestamp[|.](asc|desc)")
_CONDITION = re.compile(r"updated_timestamp:(>=|<=|>|<)'([^']*)'")


class CrowdStrike(Vendor):
    name = "crowdstrike"
    id_path = None
    params = {"host": "api.us-2.crowdstrike.com", "client_id": "c3b2f6a14d5e", "client_secret": "fA1c0nS3cr3t"}
    traits = frozenset({"copies", "late", "expired", "minted"})
    token_lifetime_s = 1_799

    def __init__(self, *, only_latest: bool = False, errors_status: int = 200, **options: Any) -> None:
        self.only_latest, self.errors_status = only_latest, errors_status
        super().__init__(**options)

    @classmethod
    def id_of(cls, stream: str, event: dict[str, Any]) -> str:
        return f"{event['composite_id']} {event['updated_timestamp']}"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        alert = number // 4 if number % 4 == 3 else number  # one in four updates an alert from before
        kind = f"ind:a1b2c3d4e5f6:{alert:012d}"
        event = {
            "id": kind,
            "composite_id": f"8f69fe9e4c1d:{kind}",
            "cid": "8f69fe9e4c1d",
            "created_timestamp": f"{datetime_of(published_ms - 60_000):%Y-%m-%dT%H:%M:%S}.000000000Z",
            "updated_timestamp": f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}"
            f".{published_ms % 1000:03d}{number % 999_999 + 1:06d}Z",
            "status": "new" if alert == number else chance.choice(("in_progress", "closed")),
            "severity": chance.choice((10, 30, 50, 70)),
            "name": chance.choice(("CredentialTheft", "AnomalousLogin")),
            "product": "idp",
            "type": "idp-session-source-user-endpoint-target-info",
        }
        return self.id_of("", event), compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def is_authorized(self, request: Request) -> bool:
        is_bearer = request.headers.get("authorization", "").lower().startswith("bearer ")
        known = request.bearer() == self.token or self.minting.accepts(request.bearer())
        return is_bearer and known

    def unauthorized(self) -> Response:
        return _error(401, "access denied, invalid bearer token")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "API rate limit exceeded.", headers=headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [("X-Ratelimit-Limit", str(self.per_minute)), ("X-Ratelimit-Remaining", str(remaining))]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, self.params["host"]):
            return _error(404, "404: Page Not Found")
        if request.path == TOKEN_PATH:
            clients = {self.params["client_id"]: self.params["client_secret"]}
            return token_for_client(request, self.minting, clients, may=("member_cid",), grant_implied=True, status=201)
        if (request.method, request.path) != ("POST", PATH):
            return _error(404, "404: Page Not Found")
        if content_type(request) != "application/json":
            return _error(415, "unsupported media type")
        return self._alerts(request, expired)

    def _alerts(self, request: Request, expired: bool) -> Response:
        body = request.json()
        if not isinstance(body, dict) or body.keys() - {"filter", "sort", "limit", "after"}:
            return self._refused("invalid request body")
        limit, sort = body.get("limit", 100), SORT.fullmatch(str(body.get("sort", "updated_timestamp|desc")))
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST:
            return self._refused(f"limit must be between 1 and {MOST}")
        if sort is None:
            return self._refused("invalid sort")
        span = _span(body.get("filter", ""))
        if span is None:
            return self._refused("invalid filter: expected FQL with quoted times")
        newest_first = sort[1] == "desc"
        events = self._current(in_span(self.emitter, *span, newest_first=newest_first))
        asked = [body.get("filter"), body.get("sort")]
        page = page_after(events, limit, body.get("after"), asked, newest_first=newest_first, expired=expired)
        if page is None:
            return self._refused("invalid pagination token")
        pagination: dict[str, Any] = {"limit": limit, "total": len(events)}
        if page.following is not None:
            pagination["after"] = page.following
        meta = {"query_time": 0.01, "pagination": pagination, "trace_id": "1b3c"}
        return document({"meta": meta, "errors": [], "resources": raw(page.events)})

    def _current(self, events: list[Event]) -> list[Event]:
        if not self.only_latest:
            return events
        latest = {_alert_of(event): event for event in sorted(self.emitter.emitted())}
        return [event for event in events if latest[_alert_of(event)] == event]

    def _refused(self, message: str) -> Response:
        return _error(400, message, status=self.errors_status)


def _alert_of(event: Event) -> str:
    return event.id.split(" ")[0]


def _span(text: object) -> tuple[int, int | None] | None:
    """Start (inclusive) and end (exclusive) of the conditions; no time has less than a nanosecond, so that none equals a
    bound in whole milliseconds."""
    start_ms, end_ms = 0, None
    if not isinstance(text, str):
        return None
    for condition in text.split("+") if text else []:
        found = _CONDITION.fullmatch(condition.strip())
        ms = rfc3339_of(found[2]) if found is not None else None
        if found is None or ms is None:
            return None
        if found[1][0] == ">":
            start_ms = max(start_ms, ms)
        else:
            end_ms = ms if end_ms is None else min(end_ms, ms)
    return start_ms, end_ms


def _error(
    code: int, message: str, *, status: int | None = None, headers: list[tuple[str, str]] | None = None
) -> Response:
    errors = [{"code": code, "message": message}]
    meta = {"query_time": 0.01, "trace_id": "1b3c"}
    return Response.json({"meta": meta, "errors": errors, "resources": []}, status or code, headers)
