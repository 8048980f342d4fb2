"""Workday's user activity: offsets inside a span that is cut off at 10,000 rows, tokens for a refresh token."""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.grants import client_of, fault_of_request, granted, refused
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import MILLISECONDS_Z, compact, document, is_for, raw, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import rfc3339_ms

TASKS = ("View Worker", "Edit Business Process", "Run Report", "Change Job")
OTHERS = ("taskId", "systemAccount", "type")


class Workday(Vendor):
    """`instances` is how many rows of one span there are at most per instance asked for: what lies beyond them is left
    out without a word. An event of exactly `to` is not listed. `rotates`: whether each new token comes with a new
    refresh token, after which the old one is refused."""

    name = "workday"
    id_path = None
    params = {
        "host": "wd5-services1.myworkday.com",
        "tenant": "acme",
        "client_id": "ZmxpY2tlci1zaW0",
        "client_secret": "5f0c2d1e9c1d0e7f",
        "refresh_token": "rt-8a001b2c3d4e5f60",
    }
    traits = frozenset({"late", "copies", "minted"})
    quota_per_minute = 600

    def __init__(self, *, instances: int = 10_000, rotates: bool = False, **options: Any) -> None:
        self._instances = instances
        self._rotates = rotates
        self._refresh_token = self.params["refresh_token"]
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        worker = f"{chance.getrandbits(64):016x}"
        event = {
            "requestTime": rfc3339_ms(published_ms),
            "systemAccount": chance.choice(("aegger", "bhahn", "integration")),
            "taskDisplayName": chance.choice(TASKS),
            "taskId": f"{chance.getrandbits(64):016x}",
            "activityAction": chance.choice(("READ", "WRITE")),
            "sessionId": f"{number:06x}",
            "ipAddress": an_address(chance),
            "deviceType": "Desktop",
            "target": {
                "id": worker,
                "descriptor": "Bo Hahn",
                "href": f"https://{self.params['host']}/ccx/api/v1/{self.params['tenant']}/workers/{worker}",
            },
        }
        return content_of(event), compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == f"/ccx/oauth2/{self.params['tenant']}/token"

    def _token(self, request: Request) -> Response:
        if not is_for(request, self.params["host"]):
            return refused("invalid_request", f"expected POST to {self.params['host']}")
        fault = fault_of_request(request, "refresh_token")
        if fault is not None:
            return refused(*fault)
        if client_of(request) != (self.params["client_id"], self.params["client_secret"]):
            return refused("invalid_client", "unknown client or wrong secret", 401)
        with self._lock:
            if request.form.get("refresh_token") != self._refresh_token:
                return refused("invalid_grant", "unknown refresh token")
            if self._rotates:
                self._refresh_token = f"rt-{self.minting.minted + 1:016x}"
            return granted(self.minting, refresh_token=self._refresh_token)

    # -- the activity

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return Response.json({"error": "invalid_token", "code": "S1001"}, 401)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response.json({"error": "too many requests", "code": "S429"}, 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        path = f"/ccx/api/privacy/v1/{self.params['tenant']}/activityLogging"
        if request.path != path or not is_for(request, self.params["host"]):
            return Response.json({"error": "not found", "code": "S404"}, 404)
        if request.method != "GET":
            return Response.json({"error": "method not allowed", "code": "S405"}, 405)
        unknown = request.unknown("from", "to", "instancesReturned", "limit", "offset", *OTHERS)
        if unknown:
            return _invalid(f"unknown query parameter {unknown[0]}")
        times: list[int] = []
        for name in ("from", "to"):
            ms = time_in(request.query.get(name, ""), MILLISECONDS_Z)
            if ms is None:
                return _invalid(f"{name} is required as YYYY-MM-DDTHH:MM:SS.fffZ")
            times.append(ms)
        if times[1] <= times[0]:
            return _invalid("to must be after from")
        instances = request.number("instancesReturned", 1, least=1, most=25)
        limit = request.number("limit", 100, least=1, most=1000)
        offset = request.number("offset", 0, least=0)
        if instances is None:
            return _invalid("instancesReturned must be between 1 and 25")
        if limit is None or offset is None:
            return _invalid("limit must be between 1 and 1000, and offset no less than 0")
        events = by_event_time(self.emitter, times[0], times[1], end_inclusive=False)
        listed = raw(events)[: instances * self._instances]  # a row that comes twice counts twice
        return document({"data": listed[offset : offset + limit], "total": len(listed)})


def _invalid(message: str) -> Response:
    return Response.json({"error": "invalid request", "code": "S400", "errors": [{"error": message}]}, 400)
