"""1Password's Events API, version 2: three feeds read by POST, with a cursor that is good for as long as it is kept."""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.listings import cursor_of, place_of
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, rfc3339_ms

HOST = "events.1password.com"
PATHS = {
    "/api/v2/auditevents": "audit_events",
    "/api/v2/itemusages": "item_usages",
    "/api/v2/signinattempts": "sign_in_attempts",
}
INTROSPECT = "/api/v2/auth/introspect"
HOUR_MS = 3_600_000
KEPT_MS = 120 * 24 * HOUR_MS
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
ACCOUNT = "GQZ3B3X7BNCLZGYBRX4Q2JUA5I"


class OnePassword(Vendor):
    """Listed in the order of arrival, so that a kept cursor meets late events too. The form of the first request bounds
    the events' own times, both bounds inclusive; its page size and bounds stay with the cursor."""

    name = "onepassword"
    streams = tuple(PATHS.values())
    id_path = "uuid"
    params = {"token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzaW11bGF0ZWQifQ.c2lnbmF0dXJl"}
    traits = frozenset({"expired", "empty", "copies", "late"})
    quota_per_minute = 600
    tells_wait = "nowhere"

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = _uuid(chance)
        person = chance.choice(("Ana", "Bob", "Chi", "Dee"))
        who = {"uuid": _uuid(chance), "name": f"{person} Lopez", "email": f"{person.lower()}@acme.test"}
        where = {"country": "France", "region": "ARA", "city": "Lyon", "latitude": 45.7, "longitude": 4.8}
        address = an_address(chance)
        event: dict[str, Any] = {"uuid": event_id, "timestamp": rfc3339_ms(published_ms), "account_uuid": ACCOUNT}
        if stream == "audit_events":
            event |= {
                "actor_uuid": who["uuid"],
                "actor_details": who,
                "actor_type": "user",
                "actor_account_uuid": ACCOUNT,
                "action": chance.choice(("join", "grant", "update", "delete")),
                "object_type": chance.choice(("gm", "uva", "vault", "user")),
                "object_uuid": _uuid(chance).lower(),
                "aux_id": 9_000_000 + number,
                "aux_uuid": _uuid(chance),
                "aux_info": "R",
                "session": {
                    "uuid": _uuid(chance),
                    "login_time": rfc3339_ms(published_ms - HOUR_MS),
                    "device_uuid": _uuid(chance).lower(),
                    "ip": address,
                },
                "location": where,
            }
        elif stream == "item_usages":
            event |= {
                "used_version": chance.randrange(5),
                "vault_uuid": _uuid(chance).lower(),
                "item_uuid": _uuid(chance).lower(),
                "user": who,
                "client": {"app_name": "1Password Browser", "app_version": "8.10", "ip_address": address},
                "location": where,
                "action": chance.choice(("fill", "reveal", "secure-copy", "export")),
            }
        else:
            local = datetime_of(published_ms - 3 * HOUR_MS)  # this feed writes the time of the person's zone
            event |= {
                "timestamp": f"{local:%Y-%m-%dT%H:%M:%S}.{published_ms % 1000:03d}-03:00",
                "session_uuid": _uuid(chance),
                "category": chance.choice(("success", "credentials_failed", "mfa_failed")),
                "type": "credentials_ok",
                "country": "BR",
                "details": None,
                "target_user": who,
                "client": {"app_name": "1Password Browser", "app_version": "8.10", "ip_address": address},
                "location": where,
            }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        return request.credentials("Bearer") == (self.token or self.params["token"])

    def unauthorized(self) -> Response:
        return _error(401, "Unauthorized access")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Too many requests", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return _error(404, "Not Found")
        if request.path == INTROSPECT and request.method == "GET":
            features = [path.rpartition("/")[2] for path in PATHS]
            return Response.json({"uuid": ACCOUNT, "account_uuid": ACCOUNT, "features": features})
        stream = PATHS.get(request.path)
        if stream is None:
            return _error(404, "Not Found")
        if request.method != "POST":
            return _error(405, "Method Not Allowed")
        if content_type(request) != "application/json":
            return _error(415, "Unsupported Media Type")
        body = request.json()
        if request.pairs or not isinstance(body, dict):
            return _error(400, "Bad Request: expected a JSON object, and no query")
        listing = self._listing(stream, body, expired=expired)
        return listing if isinstance(listing, Response) else self._page(request, stream, listing)

    def _listing(self, stream: str, body: dict[str, Any], *, expired: bool) -> dict[str, Any] | Response:
        """What is listed: place, page size and bounds; of a cursor, or of the form that begins anew."""
        if "cursor" in body:
            kept = None if expired else place_of(str(body["cursor"]))
            if body.keys() != {"cursor"}:
                return _error(400, "Bad Request: a cursor stands alone")
            if kept is None or kept.get("stream") != stream or "begin" not in kept:
                return _error(400, "Bad Request: Invalid cursor")
            return kept
        unknown = sorted(body.keys() - {"limit", "start_time", "end_time"})
        if unknown:
            return _error(400, f"Bad Request: unknown field {unknown[0]!r}")
        limit = body.get("limit", 100)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 1_000:
            return _error(400, "Bad Request: limit must be between 1 and 1000")
        times: dict[str, int | None] = {"start_time": None, "end_time": None}
        for name in times.keys() & body.keys():
            times[name] = rfc3339_of(body[name])
            if times[name] is None:
                return _error(400, f"Bad Request: {name} is no RFC 3339 time")
        start_ms, end_ms = times["start_time"], times["end_time"]
        if start_ms is None:
            start_ms = (self.emitter.now_ms() if end_ms is None else end_ms) - HOUR_MS
        if start_ms > (self.emitter.now_ms() if end_ms is None else end_ms):
            return _error(400, "Bad Request: start_time is after end_time or in the future")
        return {"stream": stream, "begin": 0, "limit": limit, "start_ms": start_ms, "end_ms": end_ms}

    def _page(self, request: Request, stream: str, listing: dict[str, Any]) -> Response:
        stored, begin, limit = self.emitters[stream].stored(), listing["begin"], listing["limit"]
        first_ms = max(listing["start_ms"], self.emitter.now_ms() - KEPT_MS)
        last_ms = listing["end_ms"]
        following = [
            number
            for number in range(begin, len(stored))
            if first_ms <= stored[number].published_ms and (last_ms is None or stored[number].published_ms <= last_ms)
        ]
        page = [] if request.fault == "empty" else following[:limit]
        more = len(page) < len(following) or request.fault == "empty"
        after = page[-1] + 1 if page else begin
        moved = {"empty": self.requests} if request.fault == "empty" else {}
        return document(
            {
                "cursor": cursor_of(**(listing | {"begin": after} | moved)),
                "has_more": more,
                "items": raw([stored[number] for number in page]),
            }
        )


def _uuid(chance: random.Random) -> str:
    return "".join(chance.choices(ALPHABET, k=26))


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"Error": {"Message": message}}, status, headers)
