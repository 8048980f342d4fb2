"""Loki's push API: stores what is good of a push, and answers 400 or 429 for the rest."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import datetime_of

PATH = "/loki/api/v1/push"
DAY_MS = 86_400_000
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: So many of the entries that an ingester ignores are named.
NAMED = 10


class LokiReceiver(ApiReceiver):
    """`POST /loki/api/v1/push`, JSON. Limits are those of a tenant, as a server has them by default.

    `authorization` is the whole header, `tenant` the only one there is. `blocked` is the status (260 or 200) with which a
    Loki answers whose ingestion is blocked. `stream_burst_bytes` is what one push may bring to a stream.
    """

    def __init__(
        self,
        *,
        authorization: str | None = None,
        tenant: str | None = None,
        max_bytes: int = 4_000_000,
        max_line_bytes: int = 262_144,
        max_labels: int = 15,
        oldest_ms: int | None = 7 * DAY_MS,
        ahead_ms: int = 600_000,
        behind_ms: int = 3_600_000,
        stream_burst_bytes: int | None = None,
        **options: Any,
    ) -> None:
        self.authorization = authorization
        self.tenant = tenant
        self.max_bytes = max_bytes
        self.max_line_bytes = max_line_bytes
        self.max_labels = max_labels
        self.oldest_ms, self.ahead_ms, self.behind_ms = oldest_ms, ahead_ms, behind_ms
        self.stream_burst_bytes = stream_burst_bytes
        self.blocked: int | None = None
        self.structured_metadata = True
        self._newest_ns: dict[str, int] = {}
        self._last: dict[str, tuple[Any, ...]] = {}
        super().__init__(**options)

    def refusal(self, status: int, says: str) -> Response:
        return Response(status, f"{says or f'simulated {status}'}\n".encode(), [("Content-Type", "text/plain")])

    def take(self, request: Request) -> Response:
        if request.path != PATH:
            raise Refusal(self.refusal(404, "404 page not found"))
        if self.authorization is not None and request.headers.get("authorization") != self.authorization:
            raise Refusal(self.refusal(401, "Unauthorized"))
        if self.tenant is not None and request.headers.get("x-scope-orgid") != self.tenant:
            raise Refusal(self.refusal(401, "no org id"))
        if self.blocked is not None:
            return Response(self.blocked, b"blocked ingestion\n")
        body = self.inflated(request, most=self.max_bytes)
        streams = self._streams(self.json(body))
        for labels, values in streams:
            self._check_labels(labels)
            for value in values:
                self._check_value(labels, value)
        outside: list[str] = []
        ignored: list[str] = []
        too_much = False
        for labels, values in streams:
            name = _name_of(labels)
            good = [value for value in values if (why := self._outside(name, value)) is None or outside.append(why)]
            refused, last_is_rate = self._ingest(name, labels, good)
            ignored += refused
            too_much = too_much or last_is_rate
        if ignored:
            raise Refusal(self.refusal(429 if too_much else 400, "\n".join(ignored)))
        if outside:
            raise Refusal(self.refusal(400, _grouped(outside)))
        return Response(204)

    # -- reading a push

    def _streams(self, value: Any) -> list[tuple[dict[str, str], list[list[Any]]]]:
        streams = value.get("streams") if isinstance(value, dict) else None
        if not isinstance(streams, list):
            raise Refusal(self.refusal(400, "loghttp.PushRequest.Streams: decode slice: expect [ or n"))
        if not streams:
            raise Refusal(self.refusal(422, "error at least one valid stream is required for ingestion"))
        try:
            return [(each["stream"], each["values"]) for each in streams]
        except (KeyError, TypeError):
            raise Refusal(self.refusal(400, "loghttp.Stream: unexpected value")) from None

    def _check_labels(self, labels: Any) -> None:
        if not isinstance(labels, dict) or not labels:
            raise Refusal(self.refusal(400, "error at least one label pair is required per stream"))
        name = _name_of(labels)
        if len(labels) > self.max_labels:
            raise Refusal(
                self.refusal(400, f"entry for stream '{name}' has {len(labels)} label names; limit {self.max_labels}")
            )
        for label, value in labels.items():
            if not _LABEL.fullmatch(label) or not isinstance(value, str):
                raise Refusal(self.refusal(400, f"error parsing labels '{name}'"))

    def _check_value(self, labels: dict[str, str], value: Any) -> None:
        fine = isinstance(value, list) and len(value) in (2, 3) and all(isinstance(part, str) for part in value[:2])
        if not fine or not value[0].isdigit():
            raise Refusal(
                self.refusal(400, "loghttp.Entry: unexpected value, expected a string of nanoseconds and a line")
            )
        if len(value) == 3:
            metadata = value[2]
            if not isinstance(metadata, dict) or not all(isinstance(each, str) for each in metadata.values()):
                raise Refusal(self.refusal(400, "loghttp.Entry: structured metadata must be a map of strings"))
            if not self.structured_metadata:
                raise Refusal(
                    self.refusal(
                        400,
                        f"stream '{_name_of(labels)}' includes structured metadata, but this feature is disallowed. Please "
                        "see `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it",
                    )
                )

    # -- what a distributor and an ingester refuse

    def _outside(self, name: str, value: list[Any]) -> str | None:
        at_ms, now_ms = int(value[0]) // 1_000_000, int(self.clock() * 1000)
        if self.oldest_ms is not None and at_ms < now_ms - self.oldest_ms:
            oldest = f"oldest acceptable timestamp is: {_second(now_ms - self.oldest_ms)}"
            return f"entry for stream '{name}' has timestamp too old: {_second(at_ms)}, {oldest}"
        if at_ms > now_ms + self.ahead_ms:
            return f"entry for stream '{name}' has timestamp too new: {_second(at_ms)}"
        size = len(value[1].encode("utf-8", "surrogatepass"))
        if size > self.max_line_bytes:
            return (
                f"max entry size '{self.max_line_bytes}' bytes exceeded for stream '{name}' while adding an entry with "
                f"length '{size}' bytes"
            )
        return None

    def _ingest(self, name: str, labels: dict[str, str], values: list[list[Any]]) -> tuple[list[str], bool]:
        """Lines of the refusal, none if all were stored, and whether the last one is for the rate."""
        refused: list[tuple[int, str, bool]] = []
        left = self.stream_burst_bytes
        with self.lock:
            for value in values:
                at_ns, line = int(value[0]), value[1]
                size = len(line.encode("utf-8", "surrogatepass"))
                oldest_ns = self._newest_ns.get(name, at_ns) - self.behind_ms * 1_000_000
                if left is not None and size > left:
                    why = (
                        f"Per stream rate limit exceeded (limit: {self.stream_burst_bytes}B/sec) while attempting to ingest "
                        f"for stream '{name}' totaling {size}B, consider splitting a stream via additional labels or "
                        "contact your Loki administrator to see if the limit can be increased"
                    )
                    refused.append((at_ns, why, True))
                    continue
                if at_ns < oldest_ns:
                    why = (
                        f"entry too far behind, entry timestamp is: {_second(at_ns // 1_000_000)}, oldest acceptable "
                        f"timestamp is: {_second(oldest_ns // 1_000_000)}"
                    )
                    refused.append((at_ns, why, False))
                    continue
                left = None if left is None else left - size
                self._newest_ns[name] = max(at_ns, self._newest_ns.get(name, at_ns))
                entry = (at_ns, line, json.dumps(value[2:]))
                if self._last.get(name) != entry:
                    self._last[name] = entry
                    self.store([_stored(labels, value)])
        lines = [
            f"entry with timestamp {_go_time(at_ns)} ignored, reason: '{why}'," for at_ns, why, _ in refused[:NAMED]
        ]
        if refused:
            tenant = self.tenant or "fake"
            lines.append(f"user '{tenant}', total ignored: {len(refused)} out of {len(values)} for stream: {name}")
        return lines, bool(refused) and refused[-1][2]


def _stored(labels: dict[str, str], value: list[Any]) -> Stored:
    metadata = value[2] if len(value) == 3 else {}
    uid = metadata.get("event_uid")
    if uid is None:
        try:
            uid = json.loads(value[1]).get("event_uid", "")
        except (ValueError, AttributeError):
            uid = ""
    return Stored(uid, value[1], {"at_ns": int(value[0]), "labels": labels, "metadata": metadata})


def _name_of(labels: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items())) + "}"


def _grouped(errors: list[str]) -> str:
    """Equal texts once, with how often."""
    counted = Counter(errors)
    texts = [text if count == 1 else f"{count} errors like: {text}" for text, count in counted.items()]
    return texts[0] if len(texts) == 1 else f"{len(texts)} errors: {'; '.join(texts)}"


def _second(ms: int) -> str:
    return f"{datetime_of(ms).isoformat()[:19]}Z"


def _go_time(ns: int) -> str:
    """As Go prints a time: with as many digits of the second as there are."""
    fraction = f".{ns % 1_000_000_000:09d}".rstrip("0").rstrip(".")
    return f"{datetime_of(ns // 1_000_000).strftime('%Y-%m-%d %H:%M:%S')}{fraction} +0000 UTC"


RECEIVES = LokiReceiver
