"""Proofpoint's TAP SIEM API: four arrays in one answer, by when a row surfaced; an hour at most, of the last seven days.

A row surfaces when it is classified, maybe long after its own time, and again when more is found about it: rows are known
by all of their content. A day's budget of requests counts over 24 hours that move, and no header tells it.
"""

from __future__ import annotations

import random
import re
from collections import deque
from typing import Any

import msgspec

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.listings import by_arrival
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import datetime_of

HOST = "tap-api-v2.proofpoint.com"
HOUR_MS, DAYS_7_MS, DAY_S = 3_600_000, 7 * 86_400_000, 86_400
ARRAYS = ("messagesDelivered", "messagesBlocked", "clicksPermitted", "clicksBlocked")
PATHS = {
    "/v2/siem/all": ARRAYS,
    "/v2/siem/issues": ("messagesDelivered", "clicksPermitted"),
    "/v2/siem/messages/delivered": ("messagesDelivered",),
    "/v2/siem/messages/blocked": ("messagesBlocked",),
    "/v2/siem/clicks/permitted": ("clicksPermitted",),
    "/v2/siem/clicks/blocked": ("clicksBlocked",),
}


class Proofpoint(Vendor):
    name = "proofpoint"
    id_path = None
    params = {"principal": "5a6b7c8d-tap", "secret": "pr00fp01nt"}
    tells_wait = "nowhere"

    def __init__(self, *, per_day: int = 1_800, least_s: int = 30, nothing_is_204: bool = True, **options: Any) -> None:
        self.per_day, self.least_s, self.nothing_is_204 = per_day, least_s, nothing_is_204
        self._asked_s: dict[bool, deque[float]] = {False: deque(), True: deque()}
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        guid = f"c26dbea0-80d5-463b-b93c-{(number - number % 3 if number % 5 == 0 else number):012x}"
        time = f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}.000Z"
        status = chance.choice(("active", "cleared", "falsePositive"))
        event: dict[str, Any] = {"GUID": guid, "sender": "bad@example.net", "senderIP": "192.0.2.1"}
        if chance.random() < 0.5:
            event |= {
                "messageTime": time,
                "recipient": [f"{chance.choice(('ana', 'bo'))}@acme.test"],
                "subject": f"Invoice {number}",
                "malwareScore": chance.randrange(101),
                "phishScore": chance.randrange(101),
                "messageID": f"<{number}@example.net>",
                "threatsInfoMap": [
                    {
                        "threatType": "attachment",
                        "classification": "malware",
                        "threatStatus": status,
                        "threatID": f"{chance.getrandbits(64):x}",
                        "threatTime": time,
                    }
                ],
            }
        else:
            event |= {
                "id": f"a5c9fa0b-{number:08d}",
                "clickTime": time,
                "recipient": "ana@acme.test",
                "clickIP": an_address(chance),
                "url": f"http://example.net/{number}",
                "classification": "phish",
                "threatStatus": status,
                "threatTime": time,
            }
        # No row tells its array, and the same row may be in two of them: whoever collects it has to add the name.
        return content_of(event | {"array": _array_in(event, number)}), compact(event)

    def delivered(self, event: Event) -> dict[str, Any]:
        return super().delivered(event) | {"array": _array_of(event)}

    def is_authorized(self, request: Request) -> bool:
        right = (self.params["principal"], self.token or self.params["secret"])
        return request.basic() == right

    def unauthorized(self) -> Response:
        return _said(401, "The credentials are not valid.")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response(429, b"", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        arrays = PATHS.get(request.path)
        if arrays is None or request.method != "GET" or not is_for(request, HOST):
            return _said(404, "Not Found")
        if not self._within_budget(own_pool=request.path.endswith("clicks/permitted")):
            return self.too_many([])
        span = self._span(request)
        if isinstance(span, Response):
            return span
        start_ms, end_ms = span
        events = by_arrival(self.emitter, start_ms, end_ms, end_inclusive=False)
        listed = {array: [event for event in events if _array_of(event) == array] for array in arrays}
        if self.nothing_is_204 and not any(listed.values()):
            return Response(204)
        ended = f"{datetime_of(end_ms):%Y-%m-%dT%H:%M:%S}.{end_ms % 1000:03d}Z"
        return document({"queryEndTime": ended} | {array: raw(each) for array, each in listed.items()})

    def _within_budget(self, *, own_pool: bool) -> bool:
        now_s = self.clock()
        with self._lock:
            asked = self._asked_s[own_pool]
            while asked and asked[0] <= now_s - DAY_S:
                asked.popleft()
            if len(asked) >= self.per_day:
                return False
            asked.append(now_s)
            return True

    def _span(self, request: Request) -> tuple[int, int] | Response:
        """From (inclusive) and to (exclusive), to now at the latest."""
        query, now_ms = request.query, self.emitter.now_ms()
        spans = [name for name in ("interval", "sinceSeconds", "sinceTime") if name in query]
        unknown = request.unknown("format", "interval", "sinceSeconds", "sinceTime")
        if unknown or len(spans) != 1 or query.get("format") != "json":
            return _said(400, "Expected format=json and one of interval, sinceSeconds, sinceTime.")
        text = query[spans[0]]
        end_ms: int | None = now_ms
        if spans[0] == "sinceSeconds":
            start_ms = now_ms - int(text) * 1000 if re.fullmatch("[0-9]{1,5}", text) else None
        else:
            first, _, last = text.partition("/")
            start_ms = rfc3339_of(first)
            end_ms = rfc3339_of(last) if spans[0] == "interval" else None if last else now_ms
        if start_ms is None or end_ms is None:
            return _said(400, f"The {spans[0]} cannot be read.")
        if end_ms - start_ms > HOUR_MS or end_ms - start_ms < self.least_s * 1000:
            return _said(400, f"The requested interval must be between {self.least_s} seconds and one hour.")
        if start_ms < now_ms - DAYS_7_MS or start_ms > now_ms:
            return _said(400, "The requested start time is too far into the past, or in the future.")
        return start_ms, min(end_ms, now_ms)


def _array_of(event: Event) -> str:
    return _array_in(msgspec.json.decode(event.body), event.number)


def _array_in(row: dict[str, Any], number: int) -> str:
    """The array that a row belongs to."""
    if "clickTime" in row:
        return "clicksBlocked" if number % 2 else "clicksPermitted"
    return "messagesBlocked" if number % 2 else "messagesDelivered"


def _said(status: int, text: str) -> Response:
    return Response(status, text.encode(), [("Content-Type", "text/plain")])
