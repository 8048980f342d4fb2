"""Microsoft Entra: directory audits and sign-ins of Microsoft Graph, filtered and ordered by OData."""

from __future__ import annotations

import random
import re
from collections import deque
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.microsoft_login import ACCOUNT, is_login, login
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, parse_time_ms

HOST = "graph.microsoft.com"
PATHS = {"/v1.0/auditLogs/directoryAudits": "directory_audits", "/v1.0/auditLogs/signIns": "sign_ins"}
TIME_FIELDS = {"directory_audits": "activityDateTime", "sign_ins": "createdDateTime"}
DAY_MS = 86_400_000
#: Times have seven fraction digits.
TICKS = 10_000
WINDOW_S = 10.0
MOST = 1_000
USUAL = {"directory_audits": 100, "sign_ins": 1_000}
_CONDITION = re.compile(r"(\w+) (\w+) (\S+)")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z")


class Entra(Vendor):
    """The newest first unless ordered otherwise; times are compared as they are written, to 100 ns. `kept_days` is 7 in a
    free tenant: who asks for older ones is refused. More than `requests_per_10_s` are refused with fractions of a second
    to wait, however they are spread over both listings."""

    name = "entra"
    streams = tuple(TIME_FIELDS)
    id_path = "id"
    params = ACCOUNT
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    token_lifetime_s = 3_599

    def __init__(self, *, requests_per_10_s: int = 5, kept_days: int = 30, **options: Any) -> None:
        self.requests_per_10_s = requests_per_10_s
        self.kept_days = kept_days
        self._asked_s: deque[float] = deque()
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        person = f"{chance.choice(('ana', 'bob', 'chi', 'dee'))}@acme.test"
        correlation = a_uuid(chance)
        when = f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}.{published_ms % 1000:03d}{_beyond_ms(number):04d}Z"
        address = an_address(chance)
        if stream == "sign_ins":
            event_id = a_uuid(chance)
            error = chance.choice((0, 0, 50126, 50074))
            event = {
                "id": event_id,
                "createdDateTime": when,
                "userDisplayName": person,
                "userPrincipalName": person,
                "appId": "4345a7b9-9a63-4910-a426-35363201d503",
                "appDisplayName": "Office 365",
                "ipAddress": address,
                "clientAppUsed": "Browser",
                "correlationId": correlation,
                "conditionalAccessStatus": "notApplied",
                "isInteractive": True,
                "status": {"errorCode": error, "failureReason": "Other." if error == 0 else "Invalid credentials."},
                "location": {"city": "Lyon", "countryOrRegion": "FR"},
            }
            return event_id, compact(event)
        event_id = f"{chance.choice(('Directory', 'SSGM', 'PIM'))}_{correlation}_{number:05X}_{88453290 + number}"
        event = {
            "id": event_id,
            "category": "GroupManagement",
            "correlationId": correlation,
            "result": "success",
            "resultReason": "",
            "activityDisplayName": chance.choice(("Add member to group", "Update group", "Delete group")),
            "activityDateTime": when,
            "loggedByService": "Core Directory",
            "operationType": "Assign",
            "initiatedBy": {"app": None, "user": {"userPrincipalName": person, "ipAddress": address}},
            "targetResources": [{"id": correlation, "type": "User", "modifiedProperties": []}],
            "additionalDetails": [],
        }
        return event_id, compact(event)

    def is_token_request(self, request: Request) -> bool:
        return is_login(request)

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return self._error(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return self._error(429, "TooManyRequests", "Too many requests", headers)

    def limited(self, wait_s: float) -> Response:
        return self.too_many([("Retry-After", f"{wait_s:.3f}")])

    def answer(self, request: Request, *, expired: bool) -> Response:
        if is_login(request):
            return login(request, self.minting, resource=f"https://{HOST}")
        stream = PATHS.get(request.path)
        if stream is None or not is_for(request, HOST) or request.method != "GET":
            return self._error(404, "ResourceNotFound", "Resource not found for the segment.")
        wait_s = self._wait_s()
        if wait_s > 0:
            return self.limited(wait_s)
        unknown = request.unknown("$filter", "$top", "$orderby", "$skiptoken")
        if unknown:
            return self._bad(f"The query parameter '{unknown[0]}' is not supported.")
        top = request.number("$top", USUAL[stream], least=1, most=MOST)
        if top is None:
            return self._bad(f"Invalid page size specified: must be between 1 and {MOST} inclusive.")
        ordered = re.fullmatch(
            rf"{TIME_FIELDS[stream]}( asc| desc)?", request.query.get("$orderby", f"{TIME_FIELDS[stream]} desc")
        )
        if ordered is None:
            return self._bad("Invalid orderby clause")
        span = self._span(request.query.get("$filter", ""), stream)
        if span is None:
            return self._bad("Invalid filter clause")
        events = [event for event in self.emitters[stream].emitted() if span[0] <= _ticks(event) <= span[1]]
        return self._page(request, sorted(events, key=_place), top, descending=ordered[1] == " desc", expired=expired)

    def _wait_s(self) -> float:
        """How long to wait for the next request that may be made; 0 for one that may be made now."""
        with self._lock:
            now_s = self.clock()
            while self._asked_s and self._asked_s[0] <= now_s - WINDOW_S:
                self._asked_s.popleft()
            if len(self._asked_s) >= self.requests_per_10_s:
                return self._asked_s[0] + WINDOW_S - now_s
            self._asked_s.append(now_s)
            return 0.0

    def _span(self, text: str, stream: str) -> tuple[int, int] | None:
        """First and last tick that a filter lets through; None for a filter that is refused."""
        oldest = (self.emitter.now_ms() - self.kept_days * DAY_MS) * TICKS
        first, last = oldest, self.emitter.now_ms() * TICKS + TICKS
        for condition in text.split(" and ") if text else []:
            found = _CONDITION.fullmatch(condition.strip())
            ticks = _ticks_of(found[3]) if found is not None else None
            if found is None or ticks is None or found[1] != TIME_FIELDS[stream] or ticks < oldest:
                return None
            if found[2] not in ("eq", "ge", "le"):
                return None
            first = max(first, ticks) if found[2] in ("eq", "ge") else first
            last = min(last, ticks) if found[2] in ("eq", "le") else last
        return first, last

    def _page(self, request: Request, events: list[Event], top: int, *, descending: bool, expired: bool) -> Response:
        asked = [request.path, *(request.query.get(name) for name in ("$filter", "$top", "$orderby"))]
        if descending:
            events = events[::-1]
        page = page_after(
            events,
            top,
            request.query.get("$skiptoken"),
            asked,
            place=_place,
            newest_first=descending,
            expired=expired,
            empty=request.fault == "empty",
        )
        if page is None:
            return self._bad("Invalid skip token")
        answer: dict[str, Any] = {"@odata.context": f"{request.base}/v1.0/$metadata#{request.path[6:]}"}
        if page.more:
            answer["@odata.nextLink"] = f"{request.base}{request.again({'$skiptoken': page.last})}"
        return document(answer | {"value": raw(page.events)})

    def _bad(self, message: str) -> Response:
        return self._error(400, "BadRequest", message)

    def _error(self, status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
        inner = {
            "date": f"{datetime_of(self.emitter.now_ms()):%Y-%m-%dT%H:%M:%S}",
            "request-id": f"{self.requests:032x}",
        }
        return Response.json({"error": {"code": code, "message": message, "innerError": inner}}, status, headers)


def _beyond_ms(number: int) -> int:
    """What the time of an event has beyond its milliseconds."""
    return number * 7_919 % TICKS


def _ticks(event: Event) -> int:
    return event.published_ms * TICKS + _beyond_ms(event.number)


def _place(event: Event) -> list[int]:
    return [_ticks(event), event.number]


def _ticks_of(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    ms = parse_time_ms(f"{found[1]}Z") if found is not None else None
    return None if ms is None or found is None else ms * TICKS + int((found[2] or "0").ljust(7, "0"))
