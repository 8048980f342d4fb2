"""Cisco Duo's Admin API logs: signed requests, milliseconds in what is asked for and seconds in what is answered."""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.duo_signatures import fault_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import beyond, by_time_and_id
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import datetime_of

HOST = "api-1a2b3c4d.duosecurity.com"
PATHS = {
    "/admin/v2/logs/authentication": "authentication",
    "/admin/v2/logs/activity": "activity",
    "/admin/v2/logs/telephony": "telephony",
    "/admin/v1/logs/administrator": "administrator",
    "/admin/v1/logs/offline_enrollment": "offline_enrollment",
}
IDS = {"authentication": "txid", "activity": "activity_id", "telephony": "telephony_id"}
KEPT_MS = 180 * 86_400_000


class Duo(Vendor):
    """Authentications are listed `lag_s` after they happened. Logs of version 1 have no end, no cursor and no ids, and list
    the `v1_most` earliest rows from a second on."""

    name = "duo"
    streams = tuple(PATHS.values())
    id_path = {stream: IDS.get(stream) for stream in streams}
    params = {
        "api_hostname": HOST,
        "integration_key": "DIWJ8X6AEYOR5OMC6TQ1",
        "secret_key": "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep",
    }
    traits = frozenset({"expired", "empty", "copies", "late"})
    tells_wait = "nowhere"

    def __init__(self, *, lag_s: float = 120.0, v1_most: int = 1_000, **options: Any) -> None:
        self.lag_ms = int(lag_s * 1000)
        self.v1_most = v1_most
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        person = chance.choice(("ana", "bob", "chi", "dee"))
        unique = a_uuid(chance)
        at = datetime_of(published_ms)
        second = f"{at:%Y-%m-%dT%H:%M:%S}+00:00"
        micro = f"{at:%Y-%m-%dT%H:%M:%S}.{published_ms % 1000:03d}{number % 1000:03d}+00:00"
        if stream == "authentication":
            event: dict[str, Any] = {
                "access_device": {"ip": an_address(chance), "location": {"city": "Graz"}},
                "application": {"key": "DIABC", "name": "VPN"},
                "event_type": "authentication",
                "factor": chance.choice(("duo_push", "passcode", "sms_passcode")),
                "reason": "user_approved",
                "result": chance.choice(("success", "denied")),
                "timestamp": published_ms // 1000,
                "isotimestamp": micro,
                "txid": unique,
                "user": {"key": "DUYHV6", "name": f"{person}@acme.test"},
            }
        elif stream == "activity":
            event = {
                "action": {"name": chance.choice(("user_create", "group_update", "phone_delete")), "details": None},
                "activity_id": unique,
                "actor": {"key": "DEVEGB6", "name": person, "type": "admin"},
                "target": {"key": f"DU{number:08d}", "name": "bob", "type": "user_user"},
                "ts": micro,
            }
        elif stream == "telephony":
            event = {
                "context": chance.choice(("enrollment", "authentication")),
                "credits": 1,
                "phone": "+13135559542",
                "telephony_id": unique,
                "ts": micro,
                "txid": a_uuid(chance),
                "type": chance.choice(("sms", "phone")),
            }
        else:
            offline = stream == "offline_enrollment"
            event = {
                "action": "o2fa_user_provisioned" if offline else chance.choice(("user_update", "admin_login")),
                "description": f'{{"factor": "duo_otp", "request": "{unique}"}}',
                "isotimestamp": second,
                "object": f"Acme laptop {chance.randrange(50)}" if offline else person,
                "timestamp": published_ms // 1000,
                "username": person,
            }
        return content_of(event) if stream not in IDS else unique, compact(event)

    def authorize(self, request: Request) -> Response | None:
        keys = {name: self.params[name] for name in ("integration_key", "secret_key")}
        fault = fault_of(request, host=HOST, now_ms=self.emitter.now_ms(), **keys)
        return None if fault is None else _error(401, *fault)

    def unauthorized(self) -> Response:
        return _error(401, 40103, "Invalid signature in request credentials")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        answer = _error(429, 42901, "Too Many Requests")
        answer.headers += headers
        return answer

    def answer(self, request: Request, *, expired: bool) -> Response:
        stream = PATHS.get(request.path)
        if stream is None or not is_for(request, HOST):
            return _error(404, 40401, "Resource not found")
        if request.method != "GET":
            return _error(405, 40501, "Method not allowed")
        if stream not in IDS:
            return self._version_1(request, stream)
        unknown = request.unknown("mintime", "maxtime", "limit", "sort", "next_offset")
        if unknown:
            return _invalid(unknown[0])
        bounds = [request.query.get(name, "") for name in ("mintime", "maxtime")]
        if not all(len(text) == 13 and text.isdecimal() for text in bounds) or int(bounds[0]) >= int(bounds[1]):
            return _invalid("mintime" if len(bounds[0]) != 13 else "maxtime")
        limit = request.number("limit", 100, least=1, most=1_000)
        if limit is None:
            return _invalid("limit")
        order = request.query.get("sort", "ts:desc")
        if order not in ("ts:asc", "ts:desc"):
            return _invalid("sort")
        start_ms = max(int(bounds[0]), self.emitter.now_ms() - KEPT_MS)
        end_ms = int(bounds[1])
        if stream == "authentication":
            end_ms = min(end_ms, self.emitter.now_ms() - self.lag_ms)
        listed = sorted(
            by_event_time(self.emitters[stream], start_ms, end_ms), key=by_time_and_id, reverse=order == "ts:desc"
        )
        return self._page(request, stream, listed, limit, expired=expired)

    def _page(self, request: Request, stream: str, listed: list[Event], limit: int, *, expired: bool) -> Response:
        """The next offset is the place of the last row: a list for authentications, else a text."""
        after = request.query.get("next_offset")
        if after is not None:
            at, comma, unique = after.partition(",")
            if expired or not comma or not at.isdecimal():
                return _invalid("next_offset")
            newest_first = request.query.get("sort", "ts:desc") == "ts:desc"
            listed = beyond(listed, (int(at), unique), place=by_time_and_id, newest_first=newest_first)
        page = [] if request.fault == "empty" else listed[:limit]
        following: list[str] | str | None = None
        if len(page) < len(listed) or request.fault == "empty":
            last = [str(page[-1].published_ms), page[-1].id] if page else (after or _before(request)).split(",")
            following = last if stream == "authentication" else ",".join(last)
        kind = "authlogs" if stream == "authentication" else "items"
        metadata = {"next_offset": following, "total_objects": len(listed)}
        return document({"stat": "OK", "response": {kind: raw(page), "metadata": metadata}})

    def _version_1(self, request: Request, stream: str) -> Response:
        unknown = request.unknown("mintime")
        text = request.query.get("mintime", "0")
        if unknown or not text.isdecimal() or len(text) > 10:
            return _invalid(unknown[0] if unknown else "mintime")
        start_ms = max(int(text) * 1000, self.emitter.now_ms() - KEPT_MS)
        page = by_event_time(self.emitters[stream], start_ms)[: self.v1_most]
        return document({"stat": "OK", "response": raw(page)})


def _before(request: Request) -> str:
    """The place before every row of a listing."""
    if request.query.get("sort", "ts:desc") == "ts:desc":
        return f"{int(request.query['maxtime']) + 1},"
    return f"{int(request.query['mintime']) - 1},"


def _invalid(name: str) -> Response:
    answer = {"stat": "FAIL", "code": 40002, "message": "Invalid request parameters", "message_detail": name}
    return Response.json(answer, 400)


def _error(status: int, code: int, message: str) -> Response:
    return Response.json({"stat": "FAIL", "code": code, "message": message}, status)
