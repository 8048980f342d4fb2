"""Salesforce's SOQL query resource over SetupAuditTrail and LoginHistory: batches, nextRecordsUrl, its own errors."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, parse_time_ms

PATH = re.compile(r"/services/data/v(\d+\.\d)/query")
LOCATOR = re.compile(r"/services/data/v\d+\.\d/query/(\w+)-(\d+)")
LOCATOR_LIFE_S = 2 * 86_400
_SOQL = re.compile(
    r"SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?(?:\s+OFFSET\s+(?P<offset>\d+))?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(\w+)\s*(>=|<=|>|<|=)\s*'?([^\s']+)'?")
OBJECTS = {"setupaudittrail": "CreatedDate", "loginhistory": "LoginTime"}


class Salesforce(Vendor):
    name = "salesforce"

    def __init__(self, **options: Any) -> None:
        self._queries: dict[str, tuple[float, list[Event], list[str], str, int]] = {}
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"0Ym5f{number:012d}{chance.choice('ABCDEFGH')}"
        record = {
            "Id": event_id,
            "Action": chance.choice(("PermSetAssign", "changedPassword", "createdUser", "loginAsGranted")),
            "Section": chance.choice(("Manage Users", "Security Controls")),
            "CreatedDate": _spelled(published_ms),
            "LoginTime": _spelled(published_ms),
            "CreatedBy": {"attributes": {"type": "User"}, "Username": "ana@acme.test"},
            "DelegateUser": None,
            "Display": f"Permission set Auditor: assigned to user number {number}",
        }
        return event_id, json.dumps(record).encode()

    def unauthorized(self) -> Response:
        return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [("Sforce-Limit-Info", f"api-usage={self.per_minute - remaining}/{self.per_minute}")]

    def answer(self, request: Request, *, expired: bool) -> Response:
        locator = LOCATOR.fullmatch(request.path)
        if locator is not None:
            return self._more(locator[1], int(locator[2]), expired=expired)
        version = PATH.fullmatch(request.path)
        if version is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        found = _SOQL.match(request.query.get("q", ""))
        if found is None or found["object"].lower() not in OBJECTS:
            return _error(400, "MALFORMED_QUERY", f"unexpected token: {request.query.get('q', '')[:80]!r}")
        if found["offset"] and int(found["offset"]) > 2000:
            return _error(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        time_field = OBJECTS[found["object"].lower()]
        start_ms, end_ms = _bounds(found["where"] or "", time_field, self.emitter.now_ms())
        if start_ms is None:
            return _error(400, "MALFORMED_QUERY", f"cannot read: {found['where']}")
        events = self.emitter.between(start_ms, end_ms)
        if "desc" in (found["order"] or "").lower():
            events = events[::-1]
        offset = int(found["offset"] or 0)
        events = events[offset : offset + int(found["limit"] or 50_000)]
        fields = [field.strip() for field in found["fields"].split(",")]
        name = f"01g{len(self._queries):015d}"
        batch = re.search(r"batchSize=(\d+)", request.headers.get("sforce-query-options", ""))
        size = min(2000, max(200, int(batch[1]) if batch else 2000))
        self._queries[name] = (self.clock(), events, fields, version[1], size)
        return self._more(name, 0, expired=False)

    def _more(self, name: str, start: int, *, expired: bool) -> Response:
        query = self._queries.get(name)
        if query is None or expired or self.clock() - query[0] > LOCATOR_LIFE_S:
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        _, events, fields, version, size = query
        page = events[start : start + size]
        done = start + len(page) >= len(events)
        answer: dict[str, Any] = {"totalSize": len(events), "done": done}
        if not done:
            answer["nextRecordsUrl"] = f"/services/data/v{version}/query/{name}-{start + len(page)}"
        answer["records"] = [_record(event, fields, version) for event in rows(page)]
        return Response.json(answer)


def _record(event: Event, fields: list[str], version: str) -> dict[str, Any]:
    full = json.loads(event.body)
    record: dict[str, Any] = {
        "attributes": {
            "type": "SetupAuditTrail",
            "url": f"/services/data/v{version}/sobjects/SetupAuditTrail/{full['Id']}",
        }
    }
    for field in fields:
        top = field.split(".")[0]
        known = next((key for key in full if key.lower() == top.lower()), None)
        if known is not None:
            record[known] = full[known]
    return record


def _bounds(where: str, time_field: str, now_ms: int) -> tuple[int | None, int]:
    """The span of conditions on the time field; both edges inclusive where written so."""
    start_ms, end_ms = 0, now_ms
    for field, operator, text in _CONDITION.findall(where):
        ms = parse_time_ms(text)
        if field.lower() != time_field.lower() or ms is None:
            return None, 0
        if operator in (">=", "="):
            start_ms = ms
        if operator == ">":
            start_ms = ms + 1
        if operator in ("<=", "="):
            end_ms = ms
        if operator == "<":
            end_ms = ms - 1
    return start_ms, end_ms


def _spelled(ms: int) -> str:
    return f"{datetime_of(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}+0000"


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json([{"errorCode": code, "message": message}], status, headers)
