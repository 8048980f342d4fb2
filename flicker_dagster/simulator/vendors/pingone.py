"""PingOne's audit activities: a filter with quoted times, pages linked as HAL, the newest first."""

from __future__ import annotations

import random
import re
import uuid
from typing import Any

from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import a_uuid
from flicker_dagster.simulator.pages import compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms

HOST, TOKEN_HOST = "api.pingone.com", "auth.pingone.com"
ENVIRONMENT = "bf4c1d2e-3a5b-4c6d-8e7f-90a1b2c3d4e5"
PATH, TOKEN_PATH = f"/v1/environments/{ENVIRONMENT}/activities", f"/{ENVIRONMENT}/as/token"
KEPT_MS = 730 * 86_400_000
MOST = 500
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z"
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
ACTIONS = ("GROUP.CREATED", "USER.UPDATED", "USER.ACCESS_ALLOWED", "PASSWORD.CHECK_FAILED")


class PingOne(Vendor):
    """Filters know `gt` and `lt`, both exclusive; with `inclusive_filters` `ge` and `le` as well."""

    name = "pingone"
    params = {
        "environment_id": ENVIRONMENT,
        "client_id": "8301a2b3-c4d5-4e6f-8a9b-0c1d2e3f4a5b",
        "client_secret": "simulated~secret.of-the-worker-application",
    }
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    quota_per_minute = 1_000
    tells_wait = "nowhere"

    def __init__(self, *, inclusive_filters: bool = False, **options: Any) -> None:
        self.operators = ("gt", "lt", "ge", "le") if inclusive_filters else ("gt", "lt")
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        action = chance.choice(ACTIONS)
        client = {
            "id": self.params["client_id"],
            "name": "Worker",
            "type": "CLIENT",
            "environment": {"id": ENVIRONMENT},
        }
        event = {
            "id": event_id,
            "recordedAt": rfc3339_ms(published_ms),
            "createdAt": rfc3339_ms(max(self.arriving_ms("", published_ms), published_ms) + 16),
            "correlationId": f"{chance.getrandbits(32):08x}",
            "action": {"type": action, "description": action.title()},
            "actors": {"client": client},
            "resources": [{"id": f"ac05{number:08x}", "name": "Managers", "type": "GROUP"}],
            "result": {"status": chance.choice(("SUCCESS", "FAILED")), "description": "done"},
        }
        return event_id, compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, TOKEN_HOST)

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(
            401, "ACCESS_FAILED", "The request could not be completed. You do not have access to this resource."
        )

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        answer = _error(429, "REQUEST_LIMITED", "The request could not be completed. The request limit was reached.")
        answer.headers += headers
        return answer

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            clients = {self.params["client_id"]: self.params["client_secret"]}
            return token_for_client(request, self.minting, clients)
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, "NOT_FOUND", "The request could not be completed. The requested resource was not found.")
        if request.method != "GET":
            return _error(405, "METHOD_NOT_ALLOWED", "The request could not be completed. The method is not supported.")
        unknown = request.unknown("filter", "limit", "cursor")
        if unknown:
            return _invalid("INVALID_PARAMETER", unknown[0], "is no parameter")
        limit = request.number("limit", 100, least=1, most=MOST)
        if limit is None:
            return _invalid("OUT_OF_RANGE", "limit", f"must be between 1 and {MOST}")
        span = self._span(request.query.get("filter", ""))
        if span is None:
            return _invalid(
                "INVALID_FILTER", "filter", 'expected recordedAt gt "…" and recordedAt lt "…", within two years'
            )
        asked = [request.query.get("filter"), limit]
        page = page_after(
            by_event_time(self.emitter, *span, newest_first=True),
            limit,
            request.query.get("cursor"),
            asked,
            newest_first=True,
            expired=expired,
            empty=request.fault == "empty",
        )
        if page is None:
            return _invalid("INVALID_VALUE", "cursor", "is not valid")
        links: dict[str, Any] = {"self": {"href": f"{request.base}{request.target}"}}
        if page.following is not None:
            links["next"] = {"href": f"{request.base}{request.again({'cursor': page.following})}"}
        listed = raw(page.events)
        return document(
            {"_links": links, "_embedded": {"activities": listed}, "count": len(listed), "size": len(listed)}
        )

    def _span(self, text: str) -> tuple[int, int] | None:
        """First and last instant of a filter; None for one that cannot be read, or begins too early."""
        first_ms, last_ms = None, self.emitter.now_ms()
        for condition in _AND.split(text.strip()):
            found = re.fullmatch(r'recordedAt (\w\w) "([^"]+)"', condition)
            ms = time_in(found[2], TIME) if found is not None else None
            if found is None or ms is None or found[1].lower() not in self.operators:
                return None
            operator = found[1].lower()
            if operator[0] == "g":
                first_ms = ms + (operator == "gt")
            else:
                last_ms = ms - (operator == "lt")
        if first_ms is None or first_ms <= self.emitter.now_ms() - KEPT_MS or first_ms > last_ms + 1:
            return None
        return first_ms, last_ms


def _invalid(code: str, target: str, message: str) -> Response:
    return _error(400, "INVALID_DATA", f"The request could not be completed: {target} {message}", code, target)


def _error(status: int, code: str, message: str, detail: str = "", target: str = "") -> Response:
    details = [{"code": detail, "target": target, "message": message}] if detail else []
    answer: dict[str, Any] = {"id": str(uuid.uuid4()), "code": code, "message": message, "details": details}
    return Response.json(answer, status)
