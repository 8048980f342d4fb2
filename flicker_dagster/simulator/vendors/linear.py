"""Linear's audit entries: GraphQL over a schema of their own, so that a query is held to its fields and arguments."""

from __future__ import annotations

import json
import random
from typing import Any

from graphql import GraphQLError, build_schema, execute_sync, parse, validate

from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import compact, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import parse_time_ms, rfc3339_ms

HOST, PATH = "api.linear.app", "/graphql"
TYPES = ("userRoleUpdated", "login", "apiKeyCreated", "issueArchived")
COMPLEXITY_PER_MINUTE = 250_000
SCHEMA = build_schema("""
    scalar DateTime
    scalar DateTimeOrDuration
    scalar JSONObject
    scalar JSON
    enum PaginationOrderBy { createdAt updatedAt }
    input DateComparator {
      gt: DateTimeOrDuration gte: DateTimeOrDuration lt: DateTimeOrDuration lte: DateTimeOrDuration
    }
    input StringComparator { eq: String neq: String in: [String!] nin: [String!] }
    input AuditEntryFilter {
      createdAt: DateComparator type: StringComparator ip: StringComparator countryCode: StringComparator
    }
    type User { id: ID! }
    type AuditEntry {
      id: ID! createdAt: DateTime! updatedAt: DateTime! archivedAt: DateTime type: String! actor: User actorId: String
      ip: String countryCode: String metadata: JSONObject requestInformation: JSONObject
    }
    type AuditEntryEdge { cursor: String! node: AuditEntry! }
    type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
    type AuditEntryConnection { edges: [AuditEntryEdge!]! nodes: [AuditEntry!]! pageInfo: PageInfo! }
    type Query {
      auditEntries(
        filter: AuditEntryFilter before: String after: String first: Int last: Int includeArchived: Boolean
        orderBy: PaginationOrderBy
      ): AuditEntryConnection!
    }
""")


class Linear(Vendor):
    name = "linear"
    id_path = "id"
    params = {"api_key": "lin_api_9c1d0e7f5a"}
    traits = frozenset({"expired", "copies", "late"})
    quota_per_minute = 1_000
    tells_wait = "quota"

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        when, actor = rfc3339_ms(published_ms), f"0f4c0000-0000-4000-8000-{chance.randrange(50):012x}"
        event = {
            "id": event_id,
            "createdAt": when,
            "updatedAt": when,
            "archivedAt": None,
            "type": chance.choice(TYPES),
            "actor": {"id": actor},
            "actorId": actor,
            "ip": an_address(chance),
            "countryCode": chance.choice(("AT", "FR")),
            "metadata": {"role": chance.choice(("admin", "member"))},
            "requestInformation": {"userAgent": "Mozilla/5.0"},
        }
        return event_id, compact(event)

    def is_authorized(self, request: Request) -> bool:
        """A personal key stands alone; only OAuth tokens have a scheme."""
        return request.headers.get("authorization") == self.params["api_key"]

    def unauthorized(self) -> Response:
        return _error(401, "AUTHENTICATION_ERROR", "authentication error", "Authentication required, not authenticated")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(400, "RATELIMITED", "ratelimited", "Rate limit exceeded", headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [
            *quota_told("X-RateLimit-Requests", self.per_minute, remaining, reset_s * 1000),
            *quota_told("X-RateLimit-Complexity", COMPLEXITY_PER_MINUTE, COMPLEXITY_PER_MINUTE, reset_s * 1000),
        ]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST):
            return Response.json({"error": "Not found"}, 404)
        asked = request.json()
        if request.method != "POST" or not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
            return _error(400, "BAD_REQUEST", "graphql error", "POST body missing, invalid JSON or without a query")
        if content_type(request) != "application/json":
            return _error(400, "BAD_REQUEST", "graphql error", "expected Content-Type: application/json")
        try:
            query = parse(asked["query"])
        except GraphQLError as error:
            return _error(400, "GRAPHQL_PARSE_FAILED", "graphql error", error.message)
        faults = validate(SCHEMA, query)
        if faults:
            return _error(400, "GRAPHQL_VALIDATION_FAILED", "graphql error", faults[0].message)
        variables = asked.get("variables") or {}
        root = {"auditEntries": lambda _info, **arguments: self._entries(arguments, expired=expired)}
        result = execute_sync(SCHEMA, query, root, variable_values=variables, operation_name=asked.get("operationName"))
        if result.errors:
            return _error(400, "INPUT_ERROR", "invalid input", result.errors[0].message)
        return Response.json({"data": result.data})

    def _entries(self, arguments: dict[str, Any], *, expired: bool) -> dict[str, Any]:
        """Newest first: there is no argument for the direction. Raises GraphQLError."""
        first, last = arguments.get("first"), arguments.get("last")
        size = first if first is not None else last if last is not None else 50
        if not 1 <= size <= 250 or (first is not None and last is not None):
            raise GraphQLError("Argument Validation Error: first, last: one of them, between 1 and 250")
        events = self._filtered(arguments.get("filter") or {})
        start, end = 0, len(events)
        if arguments.get("after") is not None:
            start = _number(events, arguments["after"], expired=expired) + 1
        if arguments.get("before") is not None:
            end = _number(events, arguments["before"], expired=expired)
        low, high = (max(start, end - size), end) if last is not None else (start, min(end, start + size))
        page = events[low:high]
        return {
            "nodes": [json.loads(event.body) for event in rows(page)],
            "edges": [{"cursor": event.id, "node": json.loads(event.body)} for event in rows(page)],
            "pageInfo": {
                "hasNextPage": high < len(events),
                "hasPreviousPage": low > 0,
                "startCursor": page[0].id if page else None,
                "endCursor": page[-1].id if page else None,
            },
        }

    def _filtered(self, filters: dict[str, Any]) -> list[Event]:
        bounds = filters.get("createdAt") or {}
        times = {name: parse_time_ms(value, "iso8601") for name, value in bounds.items() if value is not None}
        for name, ms in times.items():
            if ms is None:
                raise GraphQLError(f"Argument Validation Error: createdAt.{name} is no date")
        starts = [(times[name] or 0) + (name == "gt") for name in ("gt", "gte") if name in times]
        ends = [(times[name] or 0) - (name == "lt") for name in ("lt", "lte") if name in times]
        start_ms, end_ms = max(starts, default=None), min(ends, default=None)
        events = by_event_time(self.emitter, start_ms, end_ms, newest_first=True)
        for name in ("type", "ip", "countryCode"):
            events = [event for event in events if _fits(json.loads(event.body)[name], filters.get(name) or {})]
        return events


def _fits(value: str, comparator: dict[str, Any]) -> bool:
    tests = {
        "eq": lambda given: value == given,
        "neq": lambda given: value != given,
        "in": lambda given: value in given,
        "nin": lambda given: value not in given,
    }
    return all(tests[name](given) for name, given in comparator.items() if given is not None)


def _number(events: list[Event], cursor: str, *, expired: bool) -> int:
    found = next((number for number, event in enumerate(events) if event.id == cursor and not expired), None)
    if found is None:
        raise GraphQLError("Argument Validation Error: the cursor is invalid")
    return found


def _error(status: int, code: str, kind: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    extensions = {
        "code": code,
        "type": kind,
        "statusCode": status,
        "userError": True,
        "userPresentableMessage": message,
    }
    return Response.json({"errors": [{"message": message, "extensions": extensions}]}, status, headers)
