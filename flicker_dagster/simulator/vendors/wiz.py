"""Wiz's audit log: GraphQL over a schema of its own, relay cursors bound to their filter, errors with status 200.

The order is not documented: newest first here, unless told otherwise. Fractions of a second have up to six digits, and
none is nought, so that no event's time is that of a bound in whole milliseconds.
"""

from __future__ import annotations

import json
import random
from typing import Any

from graphql import GraphQLError, build_schema, execute_sync, parse, validate

from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.emitter import rows
from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.pages import compact, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of

AUTH_HOST, TOKEN_PATH, PATH = "auth.app.wiz.io", "/oauth/token", "/graphql"
MOST = 500
ACTIONS = ("CreateUser", "Login", "UpdateServiceAccount", "DeleteReport")
SCHEMA = build_schema("""
    scalar DateTime
    scalar JSON
    enum AuditLogEntryStatus { SUCCESS FAILED ACCESS_DENIED }
    input DateFilter { after: DateTime before: DateTime }
    input AuditLogEntryFilters { timestamp: DateFilter action: [String!] status: [AuditLogEntryStatus!] }
    type Named { id: ID! name: String }
    type AuditLogEntry {
      id: ID! action: String requestId: String status: AuditLogEntryStatus timestamp: DateTime! actionParameters: JSON
      userAgent: String sourceIP: String serviceAccount: Named user: Named
    }
    type PageInfo { hasNextPage: Boolean! endCursor: String }
    type AuditLogEntryConnection { nodes: [AuditLogEntry!] pageInfo: PageInfo! totalCount: Int! }
    type Query {
      auditLogEntries(first: Int, after: String, filterBy: AuditLogEntryFilters): AuditLogEntryConnection!
    }
""")


class Wiz(Vendor):
    """With `refused_with_200` the refusal of a token comes as other errors of GraphQL do: in a 200."""

    name = "wiz"
    params = {"data_center": "us17", "client_id": "w1zcl13nt", "client_secret": "w1zs3cr3t"}
    traits = frozenset({"copies", "late", "expired", "empty", "minted"})
    quota_per_minute = 600
    tells_wait = "nowhere"  # how long to wait is documented nowhere

    def __init__(self, *, newest_first: bool = True, refused_with_200: bool = False, **options: Any) -> None:
        self.newest_first = newest_first
        self.refused_with_200 = refused_with_200
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        micros = published_ms % 1000 * 1000 + chance.randrange(1, 1000)
        person = f"{chance.choice(('ana', 'bo', 'chi'))}@acme.test"
        by_machine = chance.random() < 0.2
        event = {
            "id": event_id,
            "action": chance.choice(ACTIONS),
            "requestId": f"{chance.getrandbits(64):016x}",
            "status": chance.choice(("SUCCESS", "SUCCESS", "FAILED")),
            "timestamp": f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}.{micros:06d}".rstrip("0") + "Z",
            "actionParameters": {"input": {"email": f"new{number}@acme.test", "role": "GLOBAL_ADMIN"}},
            "userAgent": "Mozilla/5.0",
            "sourceIP": an_address(chance),
            "serviceAccount": {"id": "svc1", "name": "scanner"} if by_machine else None,
            "user": None if by_machine else {"id": person, "name": person},
        }
        return event_id, compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def is_authorized(self, request: Request) -> bool:
        token = request.credentials("Bearer")
        return token == self.token or self.minting.accepts(token)

    def unauthorized(self) -> Response:
        status = 200 if self.refused_with_200 else 401
        return _errors("UNAUTHENTICATED", "access denied, at least one required scope or a token is missing", status)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _errors("RATE_LIMIT_EXCEEDED", "Rate limit exceeded", 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path == TOKEN_PATH and is_for(request, AUTH_HOST):
            clients = {self.params["client_id"]: self.params["client_secret"]}
            return token_for_client(request, self.minting, clients, must={"audience": "wiz-api"})
        if request.path != PATH or not is_for(request, f"api.{self.params['data_center']}.app.wiz.io"):
            return _errors("NOT_FOUND", "Not Found", 404)
        asked = request.json()
        if request.method != "POST" or content_type(request) != "application/json" or not isinstance(asked, dict):
            return _errors("BAD_REQUEST", "expected a JSON object as application/json", 400)
        strange = asked.keys() - {"query", "variables", "operationName"}
        if strange or not isinstance(asked.get("query"), str) or not isinstance(asked.get("variables", {}), dict):
            return _errors("BAD_REQUEST", "expected query, variables, operationName", 400)
        return self._executed(asked, expired=expired, empty=request.fault == "empty")

    def _executed(self, asked: dict[str, Any], *, expired: bool, empty: bool) -> Response:
        try:
            query = parse(asked["query"])
        except GraphQLError as error:
            return _errors("GRAPHQL_PARSE_FAILED", error.message)
        faults = validate(SCHEMA, query)
        if faults:
            return _errors("GRAPHQL_VALIDATION_FAILED", faults[0].message)

        def entries(_info: Any, **arguments: Any) -> dict[str, Any]:
            return self._entries(arguments, expired=expired, empty=empty)

        result = execute_sync(
            SCHEMA,
            query,
            {"auditLogEntries": entries},
            variable_values=asked.get("variables", {}),
            operation_name=asked.get("operationName"),
        )
        if result.errors:
            return _errors("BAD_USER_INPUT", result.errors[0].message)
        return Response.json({"data": result.data})

    def _entries(self, arguments: dict[str, Any], *, expired: bool, empty: bool) -> dict[str, Any]:
        """Raises GraphQLError for an argument that is not taken."""
        first, filters = arguments.get("first"), arguments.get("filterBy") or {}
        limit = 50 if first is None else first
        if not 1 <= limit <= MOST:
            raise GraphQLError(f"first must be between 1 and {MOST}")
        bounds = {name: value for name, value in (filters.get("timestamp") or {}).items() if value is not None}
        times = {name: rfc3339_of(value) for name, value in bounds.items()}
        if None in times.values():
            raise GraphQLError("timestamp is no RFC 3339 time")
        events = in_span(self.emitter, times.get("after"), times.get("before"), newest_first=self.newest_first)
        for name in ("action", "status"):
            if filters.get(name):
                events = [event for event in events if json.loads(event.body)[name] in filters[name]]
        page = page_after(
            events,
            limit,
            arguments.get("after"),
            filters,
            newest_first=self.newest_first,
            expired=expired,
            empty=empty,
        )
        if page is None:
            raise GraphQLError("invalid cursor")
        return {
            "nodes": [json.loads(event.body) for event in rows(page.events)],
            "pageInfo": {"hasNextPage": page.more, "endCursor": page.last},
            "totalCount": len(events),
        }


def _errors(code: str, message: str, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    errors = [{"message": message, "extensions": {"code": code}}]
    return Response.json({"errors": errors, "data": None}, status, headers)
