"""Okta's System Log, as its documentation describes it.

Polling mode (ascending, no `until`): listed by the time Okta stored an event, without end; a next link is always
there, even on an empty page. Bounded mode (`since` and `until`): by `published`, finite, without events not stored yet.
"""

from __future__ import annotations

import base64
import json
import random
from bisect import bisect_left
from typing import Any

from flicker_dagster.simulator.assertions import BadAssertion, claims_of, private_key_pem
from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.grants import fault_of_request, granted, refused
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import link_header
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import parse_time_ms, rfc3339_ms

DAY_MS = 86_400_000
PATH, TOKEN_PATH = "/api/v1/logs", "/oauth2/v1/token"
DOMAIN, CLIENT_ID, KEY_ID = "acme.okta.com", "0oa1simulated2client3", "acme-audit-1"
SCOPE = "okta.logs.read"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PEOPLE = ("ana", "bob", "chi", "dee", "eva")
TYPES = (
    ("user.session.start", "User login to Okta"),
    ("user.authentication.auth_via_mfa", "Authentication of user via MFA"),
    ("application.user_membership.add", "Add user to application membership"),
    ("policy.evaluate_sign_on", "Evaluation of sign-on policy"),
)


class Okta(Vendor):
    """Without a `token` any SSWS token will do. With `oauth` the organization has a service application as well, whose
    tokens are for assertions that are signed with its key: `oauth_params` are what a source then says."""

    name = "okta"
    id_path = "uuid"
    params = {"domain": DOMAIN, "token": "00AbCdEfGhIjKlMnOpQrStUvWxYz0123456789simu"}
    oauth_params = {
        "domain": DOMAIN,
        "client_id": CLIENT_ID,
        "private_key": private_key_pem(),
        "key_id": KEY_ID,
    }
    traits = frozenset({"expired", "empty", "copies", "late"})

    def __init__(self, *, oauth: bool = False, **options: Any) -> None:
        self.oauth = oauth
        self._asserted: set[str] = set()  # assertions that name themselves are good for once
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        person = chance.choice(PEOPLE)
        kind, message = chance.choice(TYPES)
        event = {
            "uuid": event_id,
            "published": rfc3339_ms(published_ms),
            "eventType": kind,
            "version": "0",
            "severity": "INFO",
            "displayMessage": message,
            "actor": {
                "id": f"00u{number:017d}",
                "type": "User",
                "alternateId": f"{person}@acme.test",
                "displayName": person,
            },
            "client": {
                "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Mac OS X", "browser": "CHROME"},
                "zone": "null",
                "device": "Computer",
                "ipAddress": an_address(chance),
                "geographicalContext": {"city": "Lyon", "country": "France"},
            },
            "outcome": {"result": "SUCCESS", "reason": None},
            "target": [],
            "transaction": {"type": "WEB", "id": f"{chance.getrandbits(64):x}", "detail": {}},
            "debugContext": {"debugData": {"requestUri": "/idp/idx/identify"}},
            "authenticationContext": {"externalSessionId": f"102{number}"},
            "securityContext": {"isProxy": False},
            "request": {"ipChain": []},
        }
        return event_id, json.dumps(event, separators=(",", ":")).encode()

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return self.oauth and request.path == TOKEN_PATH

    def _token(self, request: Request) -> Response:
        fault = fault_of_request(request, "client_credentials")
        if fault is not None:
            return refused(*fault)
        form = request.form
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            says = "Client Credentials requests to the Org Authorization Server must use the private_key_jwt method."
            return refused("invalid_client", says, 401)
        try:
            claims = claims_of(
                form.get("client_assertion", ""),
                audiences=(f"https://{DOMAIN}{TOKEN_PATH}", f"{request.base}{TOKEN_PATH}"),
                clock=self.clock,
                key_id=KEY_ID,
                required=("iss", "sub", "aud", "exp"),
            )
        except BadAssertion as error:
            return refused("invalid_client", f"The client_assertion token is not valid: {error}", 401)
        if (claims["iss"], claims["sub"]) != (CLIENT_ID, CLIENT_ID):
            return refused("invalid_client", "The issuer and subject of client_assertion must be the client id.", 401)
        own = claims.get("jti")
        if own in self._asserted:
            return refused("invalid_client", "The client_assertion token has been used already.", 401)
        if form.get("scope") != SCOPE:
            return refused("invalid_scope", "One or more scopes are not configured for the application.")
        if own is not None:
            self._asserted.add(own)
        return granted(self.minting, scope=SCOPE)

    def is_authorized(self, request: Request) -> bool:
        token = request.credentials("Bearer")
        return self.minting.accepts(token) if self.oauth and token else super().is_authorized(request)

    # -- the log

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-Rate-Limit", self.per_minute, remaining, reset_s)

    def exhausted(self) -> Response:
        return self.too_many([])

    def unauthorized(self) -> Response:
        return _error(401, "E0000011", "Invalid token provided")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        if not any(name == "Retry-After" for name, _ in headers):
            headers = self.quota_headers(0, self.reset_s())
        return _error(429, "E0000047", "API call exceeded rate limit due to too many requests.", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        if request.path != PATH:
            return _error(404, "E0000007", f"Not found: Resource not found: {request.path}")
        query = request.query
        limit = request.number("limit", 100, least=0, most=1000)
        if limit is None:
            return _error(400, "E0000001", "Api validation failed: limit")
        times = {name: parse_time_ms(query[name], "iso8601") for name in ("since", "until") if name in query}
        for name, ms in times.items():
            if ms is None:
                return _error(400, "E0000001", f"Api validation failed: {name}")
        now_ms = self.emitter.now_ms()
        until_ms = times.get("until")
        since_ms = times.get("since") or (until_ms or now_ms) - 7 * DAY_MS
        if now_ms - since_ms > 180 * DAY_MS:
            return _error(400, "E0000053", "Invalid since: more than 180 days ago")
        descending = query.get("sortOrder", "ASCENDING") == "DESCENDING"
        bounded = until_ms is not None or descending
        after = query.get("after")
        start = None
        if after is not None:
            start = None if expired else _uncursor(after, bounded=bounded)
            if start is None:
                return _error(400, "E0000031", "Invalid search criteria: after")
        if bounded:
            end_ms = now_ms if until_ms is None else until_ms
            return self._bounded(request, since_ms, end_ms, start or 0, limit, descending)
        return self._polling(request, since_ms, start, limit)

    def _polling(self, request: Request, since_ms: int, start: int | None, limit: int) -> Response:
        stored = self.emitter.stored()
        if start is None:
            start = bisect_left(stored, since_ms, key=lambda event: event.visible_ms)
        page = [] if request.fault == "empty" else stored[start : start + limit]
        return self._page(request, rows(page), _cursor(start + len(page), bounded=False))

    def _bounded(
        self, request: Request, since_ms: int, until_ms: int, start: int, limit: int, descending: bool
    ) -> Response:
        events = self.emitter.between(since_ms, until_ms)
        if descending:
            events = events[::-1]
        page = events[start : start + limit]
        more = start + len(page) < len(events)
        return self._page(request, rows(page), _cursor(start + len(page), bounded=True) if more else None)

    def _page(self, request: Request, events: list[Event], after: str | None) -> Response:
        """Self and next are two header lines, as Okta sends them. The next link repeats the parameters it was asked with."""
        links = [link_header(self=f"{request.base}{request.again({})}")]
        if after is not None:
            links.append(link_header(next=f"{request.base}{request.again({'after': after})}"))
        body = b"[" + b",".join(event.body for event in events) + b"]"
        return Response(200, body, [("Content-Type", "application/json"), *links])


def _cursor(position: int, *, bounded: bool) -> str:
    return base64.urlsafe_b64encode(f"{'b' if bounded else 'p'}{position}".encode()).decode()


def _uncursor(text: str, *, bounded: bool) -> int | None:
    try:
        plain = base64.urlsafe_b64decode(text).decode()
        return int(plain[1:]) if plain[0] == ("b" if bounded else "p") else None
    except (ValueError, IndexError):
        return None


def _error(status: int, code: str, summary: str, headers: list[Any] | None = None) -> Response:
    return Response.json({"errorCode": code, "errorSummary": summary, "errorCauses": []}, status, headers)
