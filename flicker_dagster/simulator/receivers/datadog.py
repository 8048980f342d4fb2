"""Datadog's log intake, API v2: takes nearly everything, truncates what is too long, and says 202."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import parse_time_ms

PATH = "/api/v2/logs"
_TIME_NAMES = ("timestamp", "date", "_timestamp", "Timestamp", "eventTime", "published_date")


class DatadogReceiver(ApiReceiver):
    """`POST /api/v2/logs` with `DD-API-KEY`. A log that is truncated, and one listed at its arrival, say so beside."""

    def __init__(
        self,
        *,
        api_key: str = "dd-key",
        max_bytes: int = 5_000_000,
        max_logs: int = 1_000,
        max_log_bytes: int = 1_000_000,
        oldest_ms: int = 64_800_000,
        newest_ms: int = 7_200_000,
        **options: Any,
    ) -> None:
        self.api_key = api_key
        self.max_bytes = max_bytes
        self.max_logs = max_logs
        self.max_log_bytes = max_log_bytes
        self.oldest_ms, self.newest_ms = oldest_ms, newest_ms
        super().__init__(**options)

    def refusal(self, status: int, says: str) -> Response:
        title = HTTPStatus(status).phrase
        error = {"status": str(status), "title": title, "detail": says or title}
        return Response.json({"errors": [error]}, status)

    def take(self, request: Request) -> Response:
        if request.path != PATH:
            raise Refusal(self.refusal(404, ""))
        key = request.headers.get("dd-api-key")
        if key != self.api_key:
            raise Refusal(self.refusal(401 if key is None else 403, ""))
        body = self.inflated(request, most=self.max_bytes)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refusal(self.refusal(415, ""))
        logs = self.json(body)
        logs = [logs] if isinstance(logs, dict) else logs
        if not isinstance(logs, list) or not all(
            isinstance(log, dict) and isinstance(log.get("message"), str) for log in logs
        ):
            raise Refusal(self.refusal(400, "Invalid JSON structure"))
        if len(logs) > self.max_logs:
            raise Refusal(self.refusal(413, "Request too large"))
        self.store([self._stored(log) for log in logs])
        return Response.json({}, 202)

    def _stored(self, log: dict[str, Any]) -> Stored:
        message = log["message"].encode("utf-8", "surrogatepass")
        size = len(json.dumps(log, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        kept = message[: self.max_log_bytes].decode("utf-8", "ignore")
        attributes = {name: value for name, value in log.items() if name != "message"}
        try:
            parsed = json.loads(kept)
        except ValueError:
            parsed = None
        beside = {
            **attributes,
            "attributes": parsed if isinstance(parsed, dict) else {},
            "listed_ms": self._listed_ms(attributes),
            "truncated": size > self.max_log_bytes,
        }
        return Stored(str(log.get("event_uid", "")), kept, beside)

    def _listed_ms(self, attributes: dict[str, Any]) -> int:
        """A time outside of the window is replaced by the arrival's."""
        now_ms = int(self.clock() * 1000)
        found = next((ms for name in _TIME_NAMES if (ms := parse_time_ms(attributes.get(name))) is not None), None)
        if found is None or not now_ms - self.oldest_ms <= found <= now_ms + self.newest_ms:
            return now_ms
        return found


RECEIVES = DatadogReceiver
