"""Azure's Logs Ingestion API: rows of streams that data collection rules declare. It loses columns without a word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.times import parse_time_ms

FIELD_BYTES = 65_536
API_VERSIONS = frozenset({"2021-11-01-preview", "2023-01-01"})
COLUMNS = {
    "TimeGenerated": "datetime",
    "EventTime": "datetime",
    "EventUid": "string",
    "Source": "string",
    "Raw": "string",
}
_PATH = re.compile(r"/dataCollectionRules/([^/]+)/streams/([^/]+)")
_CODES = {
    400: "InvalidPayload",
    401: "Unauthorized",
    403: "OperationFailed",
    404: "NotFound",
    413: "ContentLengthLimitExceeded",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
}


class SentinelReceiver(ApiReceiver):
    """`POST /dataCollectionRules/<rule>/streams/<stream>` with a token of `tokens`.

    `streams` are declared columns with their types, by stream. Until `granted`, the role has not reached everywhere and
    every request is answered with 403. What a row lost is in `beside`.
    """

    def __init__(
        self,
        *,
        tokens: TokenServer,
        rule_id: str = "dcr-0123456789abcdef0123456789abcdef",
        streams: Mapping[str, Mapping[str, str]] | None = None,
        uid_column: str = "EventUid",
        max_bytes: int = 1_000_000,
        **options: Any,
    ) -> None:
        self.tokens = tokens
        self.rule_id = rule_id
        self.streams = streams or {"Custom-SaasAudit": COLUMNS}
        self.uid_column = uid_column
        self.max_bytes = max_bytes
        self.granted = True
        super().__init__(**options)

    def refusal(self, status: int, says: str) -> Response:
        code = _CODES.get(status, "InternalServerError")
        return Response.json({"error": {"code": code, "message": says or code}}, status)

    def take(self, request: Request) -> Response:
        path = _PATH.fullmatch(request.path)
        if path is None:
            raise Refusal(self.refusal(404, "Resource not found"))
        if not self.tokens.accepts(request.bearer()):
            raise Refusal(self.refusal(401, "The authentication token is missing, or has expired"))
        if request.query.get("api-version") not in API_VERSIONS:
            raise Refusal(self.refusal(400, "UnsupportedApiVersion"))
        if path[1] != self.rule_id:
            raise Refusal(self.refusal(404, f"Data collection rule with immutable Id '{path[1]}' not found."))
        if not self.granted:
            raise Refusal(
                self.refusal(403, "The authentication token provided does not have access to ingest data for the rule")
            )
        columns = self.streams.get(path[2])
        if columns is None:
            raise Refusal(self.refusal(404, f"Stream '{path[2]}' is not configured on the data collection rule."))
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refusal(self.refusal(415, ""))
        rows = self.json(self.inflated(request, most=self.max_bytes))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Refusal(self.refusal(400, "The payload is not an array of objects"))
        request_id = request.headers.get("x-ms-client-request-id")
        self.store([self._stored(row, columns, request_id) for row in rows])
        return Response(204)

    def _stored(self, row: dict[str, Any], columns: Mapping[str, str], request_id: str | None) -> Stored:
        kept: dict[str, Any] = {}
        lost: dict[str, str] = {}
        for name, value in row.items():
            kind = columns.get(name)
            if kind is None:
                lost[name] = "not declared"
            elif not _is(kind, value):
                kept[name] = None
                lost[name] = "not of its type"
            elif isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > FIELD_BYTES:
                kept[name] = value.encode("utf-8", "surrogatepass")[:FIELD_BYTES].decode("utf-8", "ignore")
                lost[name] = "truncated"
            else:
                kept[name] = value
        return Stored(str(kept.get(self.uid_column, "")), kept, {"lost": lost, "request_id": request_id})


def _is(kind: str, value: Any) -> bool:
    if kind == "datetime":
        return isinstance(value, str) and parse_time_ms(value, "iso8601") is not None
    if kind == "string":
        return isinstance(value, str)
    return kind == "dynamic"


RECEIVES = SentinelReceiver
