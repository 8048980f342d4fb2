"""Salesforce's SOQL query resource over SetupAuditTrail and LoginHistory: batches, nextRecordsUrl, its own errors."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import ELSEWHERE, Vendor
from flicker_dagster.times import datetime_of, parse_time_ms

PATH = re.compile(r"/services/data/v(\d+\.\d)/query")
LOCATOR = re.compile(r"/services/data/v\d+\.\d/query/(\w+)-(\d+)")
LOCATOR_LIFE_S = 2 * 86_400
_SOQL = re.compile(
    r"SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?(?:\s+OFFSET\s+(?P<offset>\d+))?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_CONDITION = re.compile(r"(\w+)\s*(>=|<=|>|<|=)\s*([^\s']+)")  # a datetime literal is not quoted
OBJECTS = {"setupaudittrail": ("SetupAuditTrail", "CreatedDate"), "loginhistory": ("LoginHistory", "LoginTime")}
FIELDS = frozenset({"id", "action", "section", "createddate", "logintime", "createdby", "delegateuser", "display"})


@dataclass(frozen=True)
class _Query:
    """A result that is read batch by batch: it stays as it was when it was asked for."""

    asked_s: float
    events: list[Event]
    fields: list[str]
    kind: str
    api: str  # path of the API version
    batch_size: int


class Salesforce(Vendor):
    name = "salesforce"
    id_path = "Id"

    def __init__(self, **options: Any) -> None:
        self._queries: dict[str, _Query] = {}
        self._numbers = itertools.count()
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
        fields = [field.strip() for field in found["fields"].split(",")]
        for field in fields:
            if field.split(".")[0].lower() not in FIELDS:
                return _error(400, "INVALID_FIELD", f"No such column '{field}' on entity '{found['object']}'")
        kind, time_field = OBJECTS[found["object"].lower()]
        span = _bounds(found["where"], time_field, self.emitter.now_ms())
        if span is None:
            return _error(400, "MALFORMED_QUERY", f"cannot read: {found['where']}")
        events = self.emitter.between(*span)
        if "desc" in (found["order"] or "").lower():
            events = events[::-1]
        offset = int(found["offset"] or 0)
        events = events[offset : offset + int(found["limit"] or 50_000)]
        batch = re.search(r"batchSize=(\d+)", request.headers.get("sforce-query-options", ""))
        size = min(2000, max(200, int(batch[1]) if batch else 2000))
        name = f"01g{next(self._numbers):015d}"
        query = _Query(self.clock(), events, fields, kind, f"/services/data/v{version[1]}", size)
        if len(events) > size:
            self._queries[name] = query
        return _batch(query, name, 0)

    def _more(self, name: str, start: int, *, expired: bool) -> Response:
        query = self._queries.get(name)
        if query is None or expired or self.clock() - query.asked_s > LOCATOR_LIFE_S:
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return _batch(query, name, start)

    def lead_elsewhere(self, response: Response) -> None:
        """The next link is in the body here."""
        response.body = response.body.replace(b'"nextRecordsUrl": "', f'"nextRecordsUrl": "{ELSEWHERE}'.encode())


def _batch(query: _Query, name: str, start: int) -> Response:
    page = query.events[start : start + query.batch_size]
    done = start + len(page) >= len(query.events)
    answer: dict[str, Any] = {"totalSize": len(query.events), "done": done}
    if not done:
        answer["nextRecordsUrl"] = f"{query.api}/query/{name}-{start + len(page)}"
    answer["records"] = [_record(event, query) for event in rows(page)]
    return Response.json(answer)


def _record(event: Event, query: _Query) -> dict[str, Any]:
    full = json.loads(event.body)
    record: dict[str, Any] = {
        "attributes": {"type": query.kind, "url": f"{query.api}/sobjects/{query.kind}/{full['Id']}"}
    }
    for field in query.fields:
        top = field.split(".")[0]
        known = next((key for key in full if key.lower() == top.lower()), None)
        if known is not None:
            record[known] = full[known]
    return record


def _bounds(where: str | None, time_field: str, now_ms: int) -> tuple[int, int] | None:
    """The span of conditions on the time field, both edges inclusive; None for a condition that cannot be read."""
    start_ms, end_ms = 0, now_ms
    for condition in _AND.split(where.strip()) if where else []:
        found = _CONDITION.fullmatch(condition)
        ms = parse_time_ms(found[3], "iso8601") if found is not None else None
        if found is None or ms is None or found[1].lower() != time_field.lower():
            return None
        operator = found[2]
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
