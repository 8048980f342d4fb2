"""DocuSign Monitor: one stream read by a cursor that begins as a date, with tokens for a signed assertion."""

from __future__ import annotations

import random
from bisect import bisect_left
from typing import Any

from flicker_dagster.simulator.assertions import BadAssertion, claims_of, private_key_pem
from flicker_dagster.simulator.grants import JWT_BEARER, fault_of_request, granted, refused
from flicker_dagster.simulator.listings import cursor_of, place_of
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import datetime_of

HOST, TOKEN_HOST = "lens.docusign.net", "account.docusign.com"
PATH, TOKEN_PATH = "/api/v2.0/datasets/monitor/stream", "/oauth/token"
DAY_MS = 86_400_000
DATE = r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?Z?)?"
ACTIONS = (("Account", "Login"), ("Envelope", "Send"), ("User", "Update"), ("Envelope", "Download"))


class DocuSign(Vendor):
    """`granted` are the scopes that an administrator consented to. A page is shorter than `limit`, for the real one does
    not honour it; its end is an empty page with the cursor that was sent."""

    name = "docusign"
    id_path = "eventId"
    params = {
        "integration_key": "6d1f0b1e-1111-4000-8000-1234567890ab",
        "user_id": "5b1c0b1e-2222-4000-8000-1234567890ab",
        "private_key": private_key_pem(),
    }
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    quota_per_minute = 600
    tells_wait = "quota"

    def __init__(self, *, granted: str = "signature impersonation", **options: Any) -> None:
        self._granted = set(granted.split())
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        kind, action = chance.choice(ACTIONS)
        when = f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}.{published_ms % 1000:03d}{chance.randrange(10_000):04d}Z"
        event = {
            "timestamp": when,
            "eventId": event_id,
            "site": "NA4",
            "accountId": "7d1c0b1e-0000-4000-8000-1234567890ab",
            "organizationId": "9a1c0b1e-0000-4000-8000-1234567890ab",
            "userId": f"5b1c0b1e-0000-4000-8000-{chance.randrange(20):012x}",
            "object": kind,
            "action": action,
            "property": "",
            "field": "",
            "result": "Success",
            "data": {"AuthenticationMethod": "password"},
            "ipAddress": an_address(chance),
            "ipAddressLocation": {"city": "Lyon", "country": "France"},
            "userAgentClientInfo": {"browser": {"family": "Chrome"}},
        }
        return event_id, compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def _token(self, request: Request) -> Response:
        if not is_for(request, TOKEN_HOST):
            return refused("invalid_request", f"expected POST https://{TOKEN_HOST}{TOKEN_PATH}")
        fault = fault_of_request(request, JWT_BEARER)
        if fault is not None:
            return refused(*fault)
        required = ("iss", "sub", "aud", "iat", "exp")
        try:
            claims = claims_of(
                request.form.get("assertion", ""), audiences=(TOKEN_HOST,), clock=self.clock, required=required
            )
        except BadAssertion as error:
            return refused("invalid_grant", f"no_valid_keys_or_signatures or claims: {error}")
        if claims["iss"] != self.params["integration_key"]:
            return refused("invalid_grant", "no_valid_keys_or_signatures")
        if claims["sub"] != self.params["user_id"]:
            return refused("invalid_grant", "user_not_found")
        asked = set(str(claims.get("scope", "")).split())
        if "impersonation" not in asked or not asked <= self._granted:
            return refused("consent_required", "an administrator has to consent first")
        return granted(self.minting, prefix="eyJ0eXAi")

    # -- the stream

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, "AUTHORIZATION_INVALID_TOKEN", "The access token provided is expired, revoked or malformed.")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "TOO_MANY_REQUESTS", "The maximum number of requests has been exceeded.", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-RateLimit", self.per_minute, remaining, reset_s)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, "RESOURCE_NOT_FOUND", "No such resource")
        if request.method != "GET":
            return _error(405, "METHOD_NOT_ALLOWED", "expected GET")
        unknown = request.unknown("cursor", "limit")
        if unknown:
            return _error(400, "INVALID_REQUEST_PARAMETER", f"{unknown[0]} is no parameter")
        limit = request.number("limit", 1000, least=1, most=2000)
        if limit is None:
            return _error(400, "INVALID_REQUEST_PARAMETER", "limit must be between 1 and 2000")
        start = self._start(request.query.get("cursor"), expired=expired)
        if start is None:
            return _error(400, "INVALID_REQUEST_PARAMETER", "cursor is neither a date nor a cursor")
        stored = self.emitter.stored()
        page = [] if request.fault == "empty" else stored[start : start + limit - limit // 3]
        moved = cursor_of(p=start + len(page), **({"e": self.requests} if request.fault == "empty" else {}))
        end = request.query.get("cursor") if not page and request.fault != "empty" else None
        return document({"endCursor": end or moved, "data": raw(page)})

    def _start(self, cursor: str | None, *, expired: bool) -> int | None:
        """Number of the first event; the listing is by when events were stored, so that nothing lands behind a cursor."""
        kept = None if expired else place_of(cursor)
        if kept is not None and "p" in kept:
            return kept["p"]
        since_ms = self.emitter.now_ms() - 7 * DAY_MS if cursor is None else time_in(cursor, DATE)
        if since_ms is None:
            return None
        return bisect_left(self.emitter.stored(), since_ms, key=lambda event: event.visible_ms)


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"errorCode": code, "message": message}, status, headers)
