"""Google SecOps: `logs:import` of the Chronicle API, which leaves out a batch that it had before."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.times import parse_time_ms

_PATH = re.compile(
    r"/(?:v1|v1beta|v1alpha)/(projects/[^/]+/locations/[^/]+/instances/[^/]+)/logTypes/([^/]+)/logs:import"
)
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GoogleSecopsReceiver(ApiReceiver):
    """`POST …/logTypes/<type>/logs:import` with a token of `tokens`. `repeated` counts batches that were left out."""

    def __init__(
        self,
        *,
        tokens: TokenServer,
        parent: str = "projects/p/locations/eu/instances/11111111-2222-3333-4444-555555555555",
        forwarders: frozenset[str] = frozenset({"f1"}),
        log_types: frozenset[str] = frozenset({"OKTA", "GITHUB"}),
        max_bytes: int = 1_000_000,
        max_logs: int = 1_000,
        **options: Any,
    ) -> None:
        self.tokens = tokens
        self.parent = parent
        self.forwarders = forwarders
        self.log_types = log_types
        self.max_bytes = max_bytes
        self.max_logs = max_logs
        self.permitted = True
        self.repeated = 0
        self._batches: set[bytes] = set()
        super().__init__(**options)

    def refusal(self, status: int, says: str) -> Response:
        name = _STATUS.get(status, "UNKNOWN")
        return Response.json({"error": {"code": status, "message": says or name, "status": name}}, status)

    def take(self, request: Request) -> Response:
        path = _PATH.fullmatch(request.path)
        if path is None or path[1] != self.parent:
            raise Refusal(self.refusal(404, "Requested entity was not found."))
        if not self.tokens.accepts(request.bearer()):
            raise Refusal(self.refusal(401, "Request had invalid authentication credentials."))
        if not self.permitted:
            raise Refusal(self.refusal(403, "Permission 'chronicle.logs.import' denied on resource"))
        if path[2] not in self.log_types:
            raise Refusal(self.refusal(400, f"unknown log type {path[2]}"))
        body = self.inflated(request, most=None)
        if len(body) > self.max_bytes:
            raise Refusal(self.refusal(400, "Request payload size exceeds the limit"))
        value = self.json(body)
        source = _member(value, "inline_source") or {}
        logs, forwarder = source.get("logs"), source.get("forwarder", "")
        if forwarder not in {f"{self.parent}/forwarders/{name}" for name in self.forwarders}:
            raise Refusal(self.refusal(400, f"forwarder {forwarder!r} does not exist"))
        if not isinstance(logs, list) or not logs:
            raise Refusal(self.refusal(400, "logs must not be empty"))
        if len(logs) > self.max_logs:
            raise Refusal(self.refusal(400, "the number of logs exceeds the limit"))
        stored = [self._stored(log, index) for index, log in enumerate(logs)]
        batch = hashlib.sha256(json.dumps([path[2], logs], sort_keys=True).encode()).digest()
        with self.lock:
            if batch in self._batches:
                self.repeated += 1
            else:
                self._batches.add(batch)
                self.store(stored)
        return Response.json({})

    def _stored(self, log: Any, index: int) -> Stored:
        where = f"inline_source.logs[{index}]"
        if not isinstance(log, dict):
            raise Refusal(self.refusal(400, f"Invalid value at '{where}'"))
        try:
            event = base64.b64decode(log["data"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise Refusal(
                self.refusal(400, f"Invalid value at '{where}.data' (TYPE_BYTES), Base64 decoding failed")
            ) from None
        self.refuse_poison(event)
        times = [parse_time_ms(_member(log, name), "rfc3339") for name in ("log_entry_time", "collection_time")]
        entry_ms, collected_ms = times
        if entry_ms is None or collected_ms is None:
            raise Refusal(
                self.refusal(400, f"Invalid value at '{where}' (type.googleapis.com/google.protobuf.Timestamp)")
            )
        if collected_ms < entry_ms:
            raise Refusal(self.refusal(400, f"{where}: collection time is before log entry time"))
        labels = {name: label.get("value") for name, label in (log.get("labels") or {}).items()}
        beside = {
            "entry_ms": entry_ms,
            "collected_ms": collected_ms,
            "labels": labels,
            "namespace": _member(log, "environment_namespace"),
        }
        return Stored(labels.get("event_uid", ""), event, beside)


def _member(value: Any, name: str) -> Any:
    """A member by its name of the protocol buffer, or as JSON spells it."""
    if not isinstance(value, dict):
        return None
    head, *rest = name.split("_")
    return value.get(name, value.get(head + "".join(part.capitalize() for part in rest)))


RECEIVES = GoogleSecopsReceiver
