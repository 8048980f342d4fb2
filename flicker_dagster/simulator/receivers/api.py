"""What receivers of one API each have in common: what they accepted, sizes before and after inflation, faults on demand."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.server import Request, Response, Server

#: Faults that come after the request was dealt with, on the way back.
_AFTERWARDS = ("commit_then_cut", "cut", "slow", "endless", "truncated")

LOGIN_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"


class Refusal(Exception):
    """A request is refused with this answer, and nothing of it is stored."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True)
class Stored:
    """One event as it was stored: its uid, the event's bytes or what the API keeps of it, and what stands beside."""

    uid: str
    event: Any
    beside: dict[str, Any]


class ApiReceiver(ABC):
    """A server of one API. A subclass takes a request or raises Refusal, and words its refusals.

    `stored` is the journal, in order; `counts()` says how often each event came. `clock` gives seconds since the epoch.
    A request that holds `poison` is refused as one with an event that cannot be accepted.
    """

    def __init__(
        self,
        *,
        poison: str | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.poison = poison
        self.faults = Faults(seed=seed)
        self.clock = clock
        self.requests = 0
        self.received_bytes = 0
        self.inflated_bytes = 0
        self.stored: list[Stored] = []
        self.lock = threading.RLock()
        self.server = Server(self.handle, host=host, port=port, clock=clock)

    # -- for subclasses

    @abstractmethod
    def take(self, request: Request) -> Response:
        """Check and store. Raises Refusal."""

    @abstractmethod
    def refusal(self, status: int, says: str) -> Response:
        """A refusal in the words of this API; `says` is its code or message, empty for the usual one."""

    def elsewhere(self, request: Request) -> Response | None:
        """The answer to what is no request for storing events, such as one for a token; faults do not count for it."""
        return None

    # -- what tests ask

    @property
    def url(self) -> str:
        return self.server.url

    def counts(self) -> Counter[str]:
        """How often each event was stored, by uid."""
        with self.lock:
            return Counter(each.uid for each in self.stored)

    def close(self) -> None:
        self.server.close()

    # -- one request

    def handle(self, request: Request) -> Response:
        answer = self.elsewhere(request)
        if answer is not None:
            return answer
        with self.lock:
            self.requests += 1
        fault = self.faults.take()
        if fault is not None and fault.kind not in _AFTERWARDS:
            return self._refuse(fault)
        try:
            response = self.take(request)
        except Refusal as refused:
            return refused.response
        if fault is None:
            return response
        if fault.kind == "truncated":
            return Response(response.status, b'{"err', [("Content-Type", "application/json")])
        response.fault = fault
        return response

    def _refuse(self, fault: Fault) -> Response:
        if fault.kind == "html":
            return Response(200, LOGIN_PAGE, [("Content-Type", "text/html")])
        if not fault.kind.isdigit():
            return Response(500, b"", [], fault)
        response = self.refusal(int(fault.kind), fault.says)
        if fault.retry_after == "date":
            response.headers.append(("Retry-After", formatdate(self.clock() + fault.seconds, usegmt=True)))
        elif fault.retry_after not in ("", "none"):
            response.headers.append(("Retry-After", fault.retry_after))
        return response

    # -- helpers of `take`

    def inflated(self, request: Request, *, most: int | None, most_packed: int | None = None) -> bytes:
        """The body, measured as it came and inflated. Raises Refusal: 413 above the sizes, 400 for a broken one."""
        packed = request.headers.get("content-encoding", "identity").lower()
        limit = most_packed or most
        if limit is not None and len(request.body) > limit:
            raise Refusal(self.refusal(413, ""))
        try:
            if packed == "gzip":
                body = gzip.decompress(request.body)
            elif packed == "deflate":
                body = zlib.decompress(request.body)
            elif packed in ("", "identity"):
                body = request.body
            else:
                raise Refusal(self.refusal(415, ""))
        except (OSError, EOFError, zlib.error):
            raise Refusal(self.refusal(400, "")) from None
        with self.lock:
            self.received_bytes += len(request.body)
            self.inflated_bytes += len(body)
        if most is not None and len(body) > most:
            raise Refusal(self.refusal(413, ""))
        self.refuse_poison(body)
        return body

    def refuse_poison(self, text: bytes) -> None:
        if self.poison is not None and self.poison.encode() in text:
            raise Refusal(self.refusal(400, ""))

    def json(self, body: bytes) -> Any:
        """The body's JSON. Raises Refusal with 400 for what is none."""
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Refusal(self.refusal(400, "")) from None

    def store(self, events: list[Stored]) -> None:
        with self.lock:
            self.stored += events
