"""Webex Control Hub: admin audit events and security audit events, with a refresh token that has to be stored back."""

from __future__ import annotations

import base64
import random
import threading
from typing import Any

from flicker_dagster.simulator.grants import fault_of_request, granted, refused
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import MILLISECONDS_Z, compact, document, is_for, link_header, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms

HOST = "webexapis.com"
TOKEN_PATH = "/v1/access_token"
DAY_S = 86_400
WIDEST_MS = 366 * DAY_S * 1000


def _id(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


ORG_ID = _id("ciscospark://us/ORGANIZATION/1eb65fdf-9643-417f-9974-ad72cae0e10f")
#: Stream, names of its bounds, and rows of a page at most, by path.
PATHS = {
    "/v1/adminAudit/events": ("admin_audit", "from", "to", 200),
    "/v1/admin/securityAudit/events": ("security_audit", "startTime", "endTime", 1_000),
}


class Webex(Vendor):
    """The newest first unless `newest_first` is unset; pages are offsets, so that late rows move the ones behind them.

    With `rotates` a renewal ends the refresh token before the one that was used: who loses an answer may ask again, who
    does not store what was answered is out after the next time. `refresh_token` is the present one.
    """

    name = "webex"
    streams = tuple(each[0] for each in PATHS.values())
    params = {
        "org_id": ORG_ID,
        "client_id": "C0ffee5f3b2a1908e7d6c5b4a39281706f5e4d3c2b1a0ffeeddccbbaa99887766",
        "client_secret": "5f3b2a1908e7d6c5b4a39281706f5e4d3c2b1a0ffeeddccbbaa9988776655443",
        "refresh_token": "MjZmNTM5-simulated-first-refresh-token-of-the-integration",
    }
    traits = frozenset({"copies", "late", "minted"})
    quota_per_minute = 300
    token_lifetime_s = 14 * DAY_S

    def __init__(self, *, rotates: bool = True, newest_first: bool = True, **options: Any) -> None:
        self.rotates = rotates
        self.newest_first = newest_first
        self.refresh_token = self.params["refresh_token"]
        self._before = ""  # the refresh token that the present one came for
        self._guard = threading.Lock()
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = _id(f"{chance.getrandbits(128):032x}")
        person = chance.choice(("Ana", "Bob", "Chi", "Dee"))
        security = stream == "security_audit"
        event = {
            "id": event_id,
            "created": rfc3339_ms(published_ms),
            "actorId": _id(f"ciscospark://us/PEOPLE/{person}"),
            "actorOrgId": ORG_ID,
            "data": {
                "actorName": person,
                "actorEmail": f"{person.lower()}@acme.test",
                "actorIp": an_address(chance),
                "actorUserAgent": "Mozilla/5.0",
                "eventCategory": "LOGINS" if security else chance.choice(("ORG_SETTINGS", "USERS", "GROUPS")),
                "eventDescription": "A user logged in" if security else "An org setting was created or updated.",
                "actionText": f"{person} did it",
                "trackingId": f"ATLAS_{number}",
            },
        }
        return event_id, compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def _token(self, request: Request) -> Response:
        fault = fault_of_request(request, "refresh_token")
        if fault is not None:
            return refused(*fault)
        form = request.form
        if any(form.get(name) != self.params[name] for name in ("client_id", "client_secret")):
            return refused("invalid_client", "unknown client or wrong secret", 401)
        with self._guard:
            given = form.get("refresh_token")
            if given not in (self.refresh_token, self._before) or not given:
                return refused(
                    "invalid_grant", "The refresh token provided is expired, revoked, malformed, or invalid."
                )
            if self.rotates and given == self.refresh_token:
                self._before, self.refresh_token = given, f"{self.minting.minted:06d}-{given[7:]}"
            return granted(
                self.minting,
                refresh_token=self.refresh_token,
                refresh_token_expires_in=90 * DAY_S,
                scope="audit:events_read spark:kms",
            )

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return self._error(401, "The request requires a valid access token set in the Authorization request header.")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        answer = self._error(429, "Too many requests have been sent in a given amount of time.")
        answer.headers += headers
        return answer

    # -- the listings

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return self._error(404, "The requested resource could not be found.")
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.path not in PATHS or request.method != "GET":
            return self._error(404, "The requested resource could not be found.")
        stream, start, end, most = PATHS[request.path]
        unknown = request.unknown("orgId", start, end, "max", "offset")
        if unknown:
            return self._error(400, f"'{unknown[0]}' is no parameter.")
        if request.query.get("orgId") != ORG_ID:
            return self._error(400, "orgId is required, and must be one of yours.")
        first_ms, last_ms = (time_in(request.query.get(name, ""), MILLISECONDS_Z) for name in (start, end))
        if first_ms is None or last_ms is None or not 0 <= last_ms - first_ms <= WIDEST_MS:
            return self._error(400, f"{start} and {end} are required, in this order and within a year.")
        size, offset = request.number("max", 100, least=1, most=most), request.number("offset", 0, least=0)
        if size is None or offset is None:
            return self._error(400, f"max must be between 1 and {most}, and offset not be negative.")
        events = by_event_time(self.emitters[stream], first_ms, last_ms, newest_first=self.newest_first)
        page = events[offset : offset + size]
        headers = []
        if offset + len(page) < len(events):
            headers = [link_header(next=f"{request.base}{request.again({'offset': offset + len(page)})}")]
        return document({"items": raw(page)}, headers)

    def _error(self, status: int, message: str) -> Response:
        tracking = f"ROUTER_{self.requests:08X}"
        answer = {"message": message, "errors": [{"description": message}], "trackingId": tracking}
        return Response.json(answer, status)
