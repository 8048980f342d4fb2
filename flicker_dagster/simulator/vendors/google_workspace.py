"""Google Workspace: `activities.list` of the Admin SDK Reports API, one listing per application."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from flicker_dagster.simulator.assertions import BadAssertion, claims_of, private_key_pem
from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.grants import JWT_BEARER, fault_of_request, granted, refused
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.pages import compact, document, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.workspace_activities import APPLICATIONS, CUSTOMER, TOGETHER_MS, Activities

HOSTS = ("admin.googleapis.com", "www.googleapis.com")
TOKEN_HOST = "oauth2.googleapis.com"
TOKEN_PATH = "/token"
PATH = re.compile(r"/admin/reports/v1/activity/users/([^/]+)/applications/([^/]+)")
SCOPE = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
ADMIN = "admin@acme.test"
ACCOUNT = "collector@acme-audit.iam.gserviceaccount.com"
KEY_ID = "5f0c2d1e9b8a7f6e5d4c3b2a19080706f5e4d3c2"
KEPT_MS = 180 * 86_400_000
KNOWN = ("startTime", "endTime", "maxResults", "pageToken", "eventName", "customerId")


class GoogleWorkspace(Vendor):
    """A service account with domain-wide delegation reads what an administrator (`sub`) may read.

    The API lists activities, each with one or more `events`. What is delivered is one event per sub-event: the activity
    with `events` replaced by that sub-event as `event`, and its place among them (from 0) as `eventIndex` behind it:
    `{"kind", "id", "etag", "actor", "ipAddress", "event": {"type", "name", "parameters"}, "eventIndex": 0}`. Its id is
    `id.time`, `id.uniqueQualifier`, `id.applicationName` and `eventIndex` together, for a qualifier alone may come again.

    `quota_status` is 403 (the reason tells it from a missing permission), 429 or 503: the documentation names them all.
    """

    name = "google_workspace"
    streams = tuple(APPLICATIONS)
    id_path = None  # four fields together, see id_of
    params = {
        "service_account_key": json.dumps(
            {
                "type": "service_account",
                "project_id": "acme-audit",
                "private_key_id": KEY_ID,
                "private_key": private_key_pem(),
                "client_email": ACCOUNT,
                "client_id": "100000000000000000001",
                "token_uri": f"https://{TOKEN_HOST}{TOKEN_PATH}",
            }
        ),
        "admin_email": ADMIN,
    }
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    quota_per_minute = 2_400
    token_lifetime_s = 3_599
    tells_wait = "nowhere"

    def __init__(self, *, quota_status: int = 403, **options: Any) -> None:
        self.quota_status = quota_status
        self._activities = {stream: Activities(stream) for stream in self.streams}
        self._nobodys: set[str] = set()  # tokens of the service account itself, which is no administrator
        super().__init__(**options)

    @classmethod
    def id_of(cls, stream: str, event: dict[str, Any]) -> str:
        own = event["id"]
        return f"{own['time']} {own['uniqueQualifier']} {own['applicationName']} {event['eventIndex']}"

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        arrives_ms = max(self.arriving_ms(stream, published_ms), int(self.clock() * 1000))
        _, event = self._activities[stream].record(number, published_ms, arrives_ms, chance)
        return self.id_of(stream, event), compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, TOKEN_HOST)

    def _token(self, request: Request) -> Response:
        fault = fault_of_request(request, JWT_BEARER)
        if fault is not None:
            return refused(*fault)
        try:
            claims = claims_of(
                request.form.get("assertion", ""),
                audiences=(f"https://{TOKEN_HOST}{TOKEN_PATH}", f"{request.base}{TOKEN_PATH}"),
                clock=self.clock,
                key_id=KEY_ID,
                required=("iss", "scope", "aud", "iat", "exp"),
            )
        except BadAssertion as error:
            return refused("invalid_grant", f"Invalid JWT: {error}")
        if claims["iss"] != ACCOUNT:
            return refused("invalid_grant", "Invalid grant: account not found")
        if claims.get("sub", ADMIN) != ADMIN:
            return refused("invalid_grant", "Invalid email or User ID")
        if SCOPE not in str(claims["scope"]).split():
            return refused("unauthorized_client", "Client is not authorized for any of the scopes requested.", 401)
        answer = granted(self.minting)
        if "sub" not in claims:
            self._nobodys.add(json.loads(answer.body)["access_token"])
        return answer

    def authorize(self, request: Request) -> Response | None:
        token = request.credentials("Bearer")
        if not self.minting.accepts(token):
            return self.unauthorized()
        if token in self._nobodys:
            return _error(401, "authError", "Access denied. You are not authorized to read activity records.")
        return None

    def unauthorized(self) -> Response:
        return _error(401, "authError", "Invalid Credentials", "UNAUTHENTICATED")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        says = (
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'admin.googleapis.com'"
        )
        reason = {403: "rateLimitExceeded", 503: "backendError"}.get(self.quota_status, "rateLimitExceeded")
        answer = _error(self.quota_status, reason, says, "RESOURCE_EXHAUSTED", domain="usageLimits")
        answer.headers += headers
        return answer

    # -- the listing

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        found = PATH.fullmatch(request.path)
        if found is None or not is_for(request, *HOSTS) or request.method != "GET":
            return _error(404, "notFound", "Not Found")
        user, application = found[1], found[2]
        if application not in self.emitters:
            return _invalid(
                f"Invalid value '{application}'. Allowed values: [{', '.join(self.streams)}]", "applicationName"
            )
        unknown = request.unknown(*KNOWN)
        if unknown:
            return _invalid(f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot bind query parameter.')
        if request.query.get("customerId", CUSTOMER) not in (CUSTOMER, "my_customer"):
            return _error(403, "forbidden", "Not Authorized to access this resource/api")
        most = request.number("maxResults", 1_000, least=1, most=1_000)
        if most is None:
            return _invalid("Invalid value for maxResults: must be within [1, 1000]", "maxResults")
        span = self._span(request)
        if isinstance(span, Response):
            return span
        return self._page(request, user, application, span, most, expired=expired)

    def _span(self, request: Request) -> tuple[int, int] | Response:
        """First and last instant, both inclusive; without an end until now."""
        now_ms = self.emitter.now_ms()
        times = {"startTime": now_ms - KEPT_MS, "endTime": now_ms}
        for name in times.keys() & request.query.keys():
            ms = rfc3339_of(request.query[name])
            if ms is None:
                return _invalid(f"Invalid value '{request.query[name]}'. Values must be of RFC 3339 format.", name)
            times[name] = ms
        if times["startTime"] > now_ms:
            return _invalid("Start time must be before the current time", "startTime")
        if "startTime" in request.query and times["startTime"] >= times["endTime"]:
            return _invalid("Start time must be before end time", "startTime")
        return max(times["startTime"], now_ms - KEPT_MS), times["endTime"]

    def _page(
        self, request: Request, user: str, application: str, span: tuple[int, int], most: int, *, expired: bool
    ) -> Response:
        asked = [application, user, *(request.query.get(name) for name in KNOWN if name != "pageToken")]
        seen = by_event_time(self.emitters[application], span[0], span[1] + TOGETHER_MS)
        listed = dict(self._activities[application].listed(seen, *span))
        named, rows = request.query.get("eventName"), {}
        for event in list(listed)[::-1]:
            row, actor = listed[event].row(), listed[event].head["actor"]
            if user in ("all", actor["email"], actor["profileId"]) and (
                named is None or any(each["name"] == named for each in row["events"])
            ):
                rows[event] = row
        cursor, empty = request.query.get("pageToken"), request.fault == "empty"
        page = page_after(list(rows), most, cursor, asked, newest_first=True, expired=expired, empty=empty)
        if page is None:
            return _invalid("Invalid page token", "pageToken")
        answer: dict[str, Any] = {"kind": "admin#reports#activities", "etag": f'"{self.requests:x}"'}
        if page.events:
            answer["items"] = [rows[event] for event in page.events for _ in range(event.copies)]
        if page.following is not None:
            answer["nextPageToken"] = page.following
        return document(answer)


def _invalid(message: str, location: str = "") -> Response:
    return _error(400, "invalid", message, "INVALID_ARGUMENT", location=location)


def _error(
    status: int, reason: str, message: str, name: str = "", *, domain: str = "global", location: str = ""
) -> Response:
    """https://developers.google.com/admin-sdk/reports/v1/guides/errors"""
    where = {"location": location, "locationType": "parameter"} if location else {}
    error: dict[str, Any] = {"code": status, "message": message}
    error["errors"] = [{"message": message, "domain": domain, "reason": reason} | where]
    return Response.json({"error": error | ({"status": name} if name else {})}, status)
