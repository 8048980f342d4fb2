"""ServiceNow's Table API over sys_audit: encoded queries, offsets, a Link header with all directions.

Times are whole seconds without a zone. Rows come in no order of time unless the query says so.
"""

from __future__ import annotations

import math
import random
import re
from typing import Any

from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, parse_time_ms

PATH = "/api/now/table/sys_audit"
KNOWN = (
    "sysparm_query",
    "sysparm_limit",
    "sysparm_offset",
    "sysparm_fields",
    "sysparm_display_value",
    "sysparm_exclude_reference_link",
    "sysparm_no_count",
    "sysparm_suppress_pagination_header",
)
FIELDS = frozenset(
    [
        "sys_id",
        "sys_created_on",
        "sys_created_by",
        "tablename",
        "documentkey",
        "fieldname",
        "oldvalue",
        "newvalue",
        "user",
        "reason",
        "record_checkpoint",
    ]
)
_ORDER = re.compile(r"ORDERBY(DESC)?(\w+)")
_CONDITION = re.compile(r"(\w+?)(>=|<=|>|<|=)(.*)")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class ServiceNow(Vendor):
    """`zone_hours` is the zone of the user: times in a query are read in it, while those of rows are UTC."""

    name = "servicenow"
    id_path = "sys_id"
    params = {"instance": "acme", "username": "svc.audit", "password": "5f0c2d1e9c1d"}
    traits = frozenset({"copies", "late"})
    quota_per_minute = 1_000

    def __init__(self, *, zone_hours: int = 0, **options: Any) -> None:
        self._zone_ms = zone_hours * 3_600_000
        self._rows: dict[str, dict[str, str]] = {}
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"{chance.getrandbits(128):032x}"
        event = {
            "sys_id": event_id,
            "sys_created_on": f"{datetime_of(published_ms):%Y-%m-%d %H:%M:%S}",
            "sys_created_by": chance.choice(("ana", "bob", "system")),
            "tablename": chance.choice(("sys_user", "sys_user_grmember", "sys_properties")),
            "documentkey": f"{chance.getrandbits(128):032x}",
            "fieldname": "active",
            "oldvalue": "1",
            "newvalue": "0",
            "user": "ana",
            "reason": "",
            "record_checkpoint": str(number),
        }
        self._rows[event_id] = event
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        expected = (self.params["username"], self.params["password"])
        return request.basic() == expected

    def unauthorized(self) -> Response:
        return _error(401, "User Not Authenticated", "Required to provide Auth information")

    def limited(self, wait_s: float) -> Response:
        told = self.quota_headers(0, math.ceil(self.clock() + wait_s))
        return self.too_many([*told, ("Retry-After", str(math.ceil(wait_s)))])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "Rate limit exceeded", "Too many requests of this user", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [("X-RateLimit-Limit", str(self.per_minute)), ("X-RateLimit-Reset", str(reset_s))]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, f"{self.params['instance']}.service-now.com"):
            return _error(404, "Unknown instance")
        if request.path != PATH:
            return _error(400, f"Invalid table {request.path.rpartition('/')[2]}")
        if request.method != "GET":
            return _error(405, "Method not supported")
        query, unknown = request.query, request.unknown(*KNOWN)
        if unknown:
            return _error(400, "Invalid parameter", unknown[0])
        limit = request.number("sysparm_limit", 10_000, least=1, most=10_000)
        offset = request.number("sysparm_offset", 0, least=0)
        if limit is None or offset is None:
            return _error(
                400, "Invalid parameter", "sysparm_limit must be between 1 and 10000, sysparm_offset positive"
            )
        display = query.get("sysparm_display_value", "false")
        if display not in ("true", "false", "all"):
            return _error(400, "Invalid parameter", "sysparm_display_value must be true, false or all")
        fields = [name for name in query.get("sysparm_fields", "").split(",") if name]
        if not FIELDS.issuperset(fields):
            return _error(400, "Invalid parameter", "sysparm_fields holds what is no field of sys_audit")
        found = self._found(query.get("sysparm_query", ""))
        if isinstance(found, str):
            return _error(400, "Invalid query", found)
        page = found[offset : offset + limit]
        links = self._links(request, offset, limit, len(found))
        headers = [("X-Total-Count", str(len(found))), ("Link", links)]
        if not fields and display == "false":
            return document({"result": raw(page)}, headers)
        shown = [_shown(self._rows[event.id], fields, whole=display == "all") for event in rows(page)]
        return document({"result": shown}, headers)

    def _found(self, text: str) -> list[Event] | str:
        """What an encoded query finds in its order, or what is wrong with it."""
        events = sorted(self.emitter.emitted(), key=lambda event: event.id)
        orders: list[tuple[str, bool]] = []
        for term in filter(None, text.split("^")):
            order, condition = _ORDER.fullmatch(term), _CONDITION.fullmatch(term)
            field = order[2] if order else condition[1] if condition else ""
            if field not in FIELDS:
                return f"{term} is no condition on a field of sys_audit"
            if order:
                orders.append((field, order[1] is not None))
            elif condition:
                wanted = self._wanted(field, condition[3])
                if wanted is None:
                    return f"{condition[3]} is no time such as 2026-01-01 00:00:00"
                events = [event for event in events if _holds(self._rows[event.id][field], condition[2], wanted)]
        for field, descending in reversed(orders):
            events.sort(key=lambda event, field=field: self._rows[event.id][field], reverse=descending)
        return events

    def _wanted(self, field: str, text: str) -> str | None:
        if field != "sys_created_on":
            return text
        ms = parse_time_ms(text.replace(" ", "T") + "Z") if _TIME.fullmatch(text) else None
        return None if ms is None else f"{datetime_of(ms - self._zone_ms):%Y-%m-%d %H:%M:%S}"

    def _links(self, request: Request, offset: int, limit: int, count: int) -> str:
        last = (count - 1) // limit * limit if count else 0
        offsets = {"first": 0, "prev": offset - limit, "next": offset + limit, "last": last}
        links = []
        for rel, at in offsets.items():
            if 0 <= at <= last and not (rel == "next" and at >= count):
                following = request.again({"sysparm_limit": limit, "sysparm_offset": at})
                links.append(f'<{request.base}{following}>;rel="{rel}"')
        return ",".join(links)


def _holds(value: str, operator: str, wanted: str) -> bool:
    return {
        ">=": value >= wanted,
        "<=": value <= wanted,
        ">": value > wanted,
        "<": value < wanted,
        "=": value == wanted,
    }[operator]


def _shown(row: dict[str, str], fields: list[str], *, whole: bool) -> dict[str, Any]:
    chosen = {name: value for name, value in row.items() if not fields or name in fields}
    return {n: {"display_value": v, "value": v} for n, v in chosen.items()} if whole else chosen


def _error(status: int, message: str, detail: str = "", headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json({"error": {"message": message, "detail": detail}, "status": "failure"}, status, headers)
