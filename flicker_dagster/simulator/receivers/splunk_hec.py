"""Splunk's HTTP Event Collector: events and lines, tokens, indexer acknowledgement, several indexers behind one address."""

from __future__ import annotations

import base64
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.faults import Faults
from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.receivers.hec_indexers import Balancer, Indexer
from flicker_dagster.simulator.receivers.hec_protocol import (
    CODES,
    METADATA,
    USUAL,
    HecEvent,
    Wrong,
    read_lines,
    read_objects,
)
from flicker_dagster.simulator.server import Request, Response

_COLLECTOR = "/services/collector"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass
class HecToken:
    """What a token allows. `indexes` None is any index."""

    ack: bool = False
    enabled: bool = True
    index: str = "main"
    indexes: frozenset[str] | None = None


class SplunkHecReceiver(ApiReceiver):
    """A collector with its tokens.

    `ack_delay_s` passes until a request is indexed; `unindexed` so many requests are taken and lost before that, and
    `unacknowledged` so many are stored without anybody ever saying so. `says` holds codes for the next requests that are
    taken (24, 25). An event that holds `poison` is an invalid one: those before it are taken where `keeps_before`.
    `ack_faults` are for questions about acknowledgements, `faults` for events.
    """

    def __init__(
        self,
        *,
        tokens: dict[str, HecToken] | None = None,
        poison: str | None = None,
        keeps_before: bool = True,
        max_content_bytes: int = 838_860_800,
        ack_delay_s: float = 0.0,
        idle_s: float = 600.0,
        indexers: int = 1,
        cookie: str | None = None,
        renews_cookie: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.tokens = {"hec-token": HecToken()} if tokens is None else tokens
        self.invalid = poison
        self.keeps_before = keeps_before
        self.max_content_bytes = max_content_bytes
        self.ack_delay_s = ack_delay_s
        self.unindexed = 0
        self.unacknowledged = 0
        self.says: deque[int] = deque()
        self.unhealthy: int | None = None
        self.ack_faults = Faults(seed=seed + 1)
        self.ack_requests = 0
        self.indexers = [Indexer(number, idle_s) for number in range(indexers)]
        self._balancer = Balancer(self.indexers, cookie=cookie, renews=renews_cookie)
        super().__init__(seed=seed, clock=clock, host=host, port=port)

    def restart(self) -> None:
        """Forget every channel, as a restarted Splunk does."""
        with self.lock:
            for indexer in self.indexers:
                indexer.channels.clear()

    # -- answers

    def refusal(self, status: int, says: str) -> Response:
        code = int(says) if says else USUAL.get(status)
        if code is None:
            text = {404: "The requested URL was not found on this server.", 413: "The request is too large."}
            return Response.json({"text": text.get(status, f"HTTP {status}"), "code": status}, status)
        return Response.json({"text": CODES[code][1], "code": code}, status)

    def elsewhere(self, request: Request) -> Response | None:
        path = _path(request)
        if path == f"{_COLLECTOR}/health":
            return _answer(17 if self.unhealthy is None else self.unhealthy)
        if path != f"{_COLLECTOR}/ack":
            return None
        with self.lock:
            self.ack_requests += 1
        fault = self.ack_faults.take()
        if fault is not None and fault.kind.isdigit():
            return self.refusal(int(fault.kind), fault.says)
        if fault is not None and fault.kind == "cut_before_commit":
            return Response(500, fault=fault)
        try:
            response = self._say_acks(request)
        except Refusal as refused:
            return refused.response
        response.fault = fault
        return response

    def take(self, request: Request) -> Response:
        path = _path(request)
        if path not in (_COLLECTOR, f"{_COLLECTOR}/event", f"{_COLLECTOR}/raw"):
            raise Refusal(self.refusal(404, ""))
        if request.method != "POST":
            raise Refusal(self.refusal(405, ""))
        token = self._token(request)
        raw = path.endswith("/raw")
        channel = self._channel(request, needed=token.ack or raw)
        body = self.inflated(request, most=self.max_content_bytes)
        if not body.strip():
            raise Refusal(_answer(5))
        with self.lock:
            indexer, headers = self._balancer.choose(request)
            return self._index(request, body, raw=raw, token=token, channel=channel, indexer=indexer, headers=headers)

    # -- inside

    def _index(
        self,
        request: Request,
        body: bytes,
        *,
        raw: bool,
        token: HecToken,
        channel: str | None,
        indexer: Indexer,
        headers: list[tuple[str, str]],
    ) -> Response:
        defaults = {"index": token.index} | {name: request.query[name] for name in METADATA if name in request.query}

        def is_index(name: str) -> bool:
            return token.indexes is None or name in token.indexes

        events: list[HecEvent] = []
        wrong: Wrong | None = None
        try:
            reader = read_lines(body, defaults, is_index) if raw else read_objects(body.decode(), defaults, is_index)
            for event in reader:
                if self.invalid is not None and self.invalid.encode() in event.event:
                    raise Wrong(6)
                events.append(event)
        except UnicodeDecodeError:
            wrong = Wrong(6)
        except Wrong as found:
            wrong = found
        if wrong is not None and not self.keeps_before:
            return _answer(wrong.code, headers, {"invalid-event-number": len(events)})
        more: dict[str, Any] = {}
        if events:
            more = self._keep(events, token=token, channel=channel, indexer=indexer)
        if wrong is not None:
            return _answer(wrong.code, headers, {"invalid-event-number": len(events), **more})
        return _answer(self.says.popleft() if self.says else 0, headers, more)

    def _keep(
        self, events: list[HecEvent], *, token: HecToken, channel: str | None, indexer: Indexer
    ) -> dict[str, Any]:
        now_s = self.clock()
        ready_s: float | None = now_s + self.ack_delay_s
        lost = self.unindexed > 0
        if lost:
            self.unindexed -= 1
        elif self.unacknowledged:
            self.unacknowledged -= 1
            ready_s = None
        if not lost:
            self.store([_stored(each, indexer.number, channel) for each in events])
        if not token.ack or channel is None:
            return {}
        ready_s = None if lost else ready_s
        return {"ackId": indexer.number_of_request(channel, now_s=now_s, ready_s=ready_s)}

    def _say_acks(self, request: Request) -> Response:
        token = self._token(request)
        if not token.ack:
            raise Refusal(_answer(14))
        channel = self._channel(request, needed=True)
        asked = self.json(self.inflated(request, most=self.max_content_bytes))
        ids = asked.get("acks") if isinstance(asked, dict) else None
        if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
            raise Refusal(_answer(6))
        with self.lock:
            indexer, headers = self._balancer.choose(request)
            said = indexer.say(channel or "", ids, now_s=self.clock())
        return Response.json({"acks": said}, 200, headers)

    def _token(self, request: Request) -> HecToken:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            raise Refusal(_answer(16 if "token" in request.query else 2))
        if scheme == "Basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                raise Refusal(_answer(3)) from None
        elif scheme != "Splunk" or not value:
            raise Refusal(_answer(3))
        token = self.tokens.get(value)
        if token is None:
            raise Refusal(_answer(4))
        if not token.enabled:
            raise Refusal(_answer(1))
        return token

    def _channel(self, request: Request, *, needed: bool) -> str | None:
        channel = request.headers.get("x-splunk-request-channel") or request.query.get("channel")
        if channel is None and needed:
            raise Refusal(_answer(10))
        if channel is not None and not _GUID.fullmatch(channel):
            raise Refusal(_answer(11))
        return channel


def _path(request: Request) -> str:
    return request.path.removesuffix("/1.0")


def _answer(code: int, headers: list[tuple[str, str]] | None = None, more: dict[str, Any] | None = None) -> Response:
    status, text = CODES[code]
    return Response.json({"text": text, "code": code, **(more or {})}, status, headers)


def _stored(event: HecEvent, indexer: int, channel: str | None) -> Stored:
    beside = {
        "time_ms": event.time_ms,
        "stamp": event.stamp,
        "fields": event.fields,
        "indexer": indexer,
        "channel": channel,
    }
    return Stored(str(event.fields.get("event_uid", "")), event.event, beside | event.metadata)
