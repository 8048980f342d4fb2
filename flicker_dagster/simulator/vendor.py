"""What all simulated vendors share: a token, an event log, a rate limit, faults, and the simulator's own pages."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from email.utils import formatdate
from functools import partial
from typing import Any, ClassVar, Literal

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.elsewhere import lead_elsewhere
from flicker_dagster.simulator.emitter import Emitter, Event, Habits
from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.minting import Minting
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.vendor_pages import own_page

_LOG = logging.getLogger(__name__)
HTML = b"<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"


class Vendor:
    """A vendor's API over its event logs, one per stream. A dialect says `make_event` (or `make`), `answer`, and how it
    refuses.

    `rate` and `history_rate` are those of the whole account: the streams that are `busy` (all, by default) share them, and
    in the others nothing happens by itself."""

    name: ClassVar[str] = "vendor"
    #: The streams of the preset that it lists, the first of them the most usual; "" where the vendor is its only stream.
    streams: ClassVar[tuple[str, ...]] = ("",)
    #: Dotted path of the id in what is delivered, for all streams or by stream; None where the vendor gives none.
    id_path: ClassVar[str | dict[str, str | None] | None] = "id"
    #: Parameters of the preset, secrets included, with which a source reads this account.
    params: ClassVar[dict[str, str]] = {}
    #: Kinds of misfortune that this API can have, beside those that every API has: `expired` (a kept cursor is refused),
    #: `empty` (an empty page with a next one), `copies` (a row listed twice), `late` (an event listed after younger ones),
    #: `minted` (its tokens end and are revoked).
    traits: ClassVar[frozenset[str]] = frozenset({"copies", "late"})
    #: May two events of it be equal in all that is listed, so that only their number tells them apart?
    equal_rows: ClassVar[bool] = False
    #: Requests that one account may make per minute.
    quota_per_minute: ClassVar[int] = 6_000
    #: Rows that a page has to have room for at least.
    least_page_size: ClassVar[int] = 1
    #: Where one request too many is told how long to wait: in Retry-After, in the headers of the quota, or nowhere.
    tells_wait: ClassVar[Literal["retry-after", "quota", "nowhere"]] = "retry-after"
    #: Keywords with which it can be watched for a minute: without what takes hours.
    hurried: ClassVar[Mapping[str, Any]] = {}
    #: How long its access tokens live, unless told otherwise.
    token_lifetime_s: float = 3_600

    def __init__(
        self,
        *,
        token: str | None = None,
        rate: float = 0.0,
        history_s: float = 0.0,
        history_rate: float = 0.05,
        busy: Collection[str] | None = None,
        habits: Habits | None = None,
        seed: int = 0,
        per_minute: int | None = None,
        token_lifetime_s: float | None = None,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.token = token
        self.clock = clock
        self.per_minute = self.quota_per_minute if per_minute is None else per_minute
        self.requests = 0
        self.raised = 0  # requests that the dialect failed to answer
        self.fetched: Counter[str] = Counter()  # by id, how often what was listed was fetched by itself
        self.faults = Faults(seed=seed)
        if token_lifetime_s is not None:
            self.token_lifetime_s = token_lifetime_s
        self.minting = Minting(clock, lifetime_s=self.token_lifetime_s, seed=seed)
        self.busy = tuple(self.streams if busy is None else busy)
        self.emitters: dict[str, Emitter] = {}
        self.emitters = {
            stream: Emitter(
                partial(self.make, stream),
                rate=rate * self._share(stream),
                history_s=history_s,
                history_rate=history_rate * self._share(stream),
                habits=habits,
                seed=seed + 1_000_003 * number,
                clock=clock,
            )
            for number, stream in enumerate(self.streams)
        }
        self._lock = threading.Lock()
        self._minute = 0
        self._used = 0
        self.server = Server(self.handle, host=host, port=port, clock=clock)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def emitter(self) -> Emitter:
        """The log of the first stream."""
        return self.emitters[self.streams[0]]

    def _share(self, stream: str) -> float:
        return 1 / len(self.busy) if stream in self.busy else 0.0

    def set_rate(self, rate: float) -> None:
        """From now on so many events per second, shared by the busy streams."""
        for stream, emitter in self.emitters.items():
            emitter.set_rate(rate * self._share(stream))

    def arriving_ms(self, stream: str, published_ms: int) -> int:
        """When the event that is being made will be listed, for rows that tell it; history was listed at once."""
        emitter = self.emitters.get(stream)
        return published_ms if emitter is None else emitter.arriving_ms

    def close(self) -> None:
        self.server.close()

    # -- what a dialect says

    def make(self, stream: str, number: int, published_ms: int, chance: Any) -> tuple[str, bytes]:
        """An event of a stream: what `id_of` will find in it once it is delivered, and its bytes as a row of the log."""
        return self.make_event(number, published_ms, chance)

    @classmethod
    def id_of(cls, stream: str, event: dict[str, Any]) -> str:
        """Which event it is that was delivered: the vendor's id, or all of its content where there is none. Raises KeyError,
        TypeError or IndexError for what cannot be one of this stream."""
        path = cls.id_path.get(stream) if isinstance(cls.id_path, dict) else cls.id_path
        value = None if path is None else value_at(event, path)
        return content_of(event) if value is None else str(value)

    def delivered(self, event: Event) -> dict[str, Any]:
        """What arrives of an event, where it is more than its row: what tells it from others."""
        return json.loads(event.body)

    def is_listed(self, stream: str, body: bytes) -> bool:
        """Does a source that asks as the preset does get this event at all?"""
        return True

    def obtainable(self, stream: str) -> list[Event]:
        """The events of a stream that such a source can have been given by now."""
        return [event for event in self.emitters[stream].emitted() if self.is_listed(stream, event.body)]

    def authorize(self, request: Request) -> Response | None:
        """None for a request with the right credentials, else how the vendor refuses it."""
        return None if self.is_authorized(request) else self.unauthorized()

    def is_authorized(self, request: Request) -> bool:
        return self.token is None or request.bearer() == self.token

    def is_token_request(self, request: Request) -> bool:
        """Is it for the part of the API that gives out tokens? It needs no other credentials, and costs no quota."""
        return False

    def limited(self, wait_s: float) -> Response:
        """The refusal of one request too many, in this vendor's own way of saying how long to wait."""
        if self.tells_wait == "quota":
            return self.too_many(self.quota_headers(0, math.ceil(self.clock() + wait_s)))
        return self.too_many([("Retry-After", str(math.ceil(wait_s)))] if self.tells_wait == "retry-after" else [])

    def exhausted(self) -> Response:
        """The refusal of what a used-up quota does not cover."""
        return self.limited(self.reset_s() - self.clock())

    def make_event(self, number: int, published_ms: int, chance: Any) -> tuple[str, bytes]:
        raise FlickerError(f"the dialect {self.name} does not say")

    def answer(self, request: Request, *, expired: bool) -> Response:
        raise FlickerError(f"the dialect {self.name} does not say")

    def unauthorized(self) -> Response:
        return Response.json({"message": "Bad credentials"}, 401)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response.json({"message": "Too Many Requests"}, 429, headers)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        """What an answer tells of the quota."""
        return []

    def lead_elsewhere(self, response: Response) -> None:
        """Make the next link of an answer point to another host."""
        lead_elsewhere(response)

    # -- one request

    def handle(self, request: Request) -> Response:
        if request.path.startswith("/_sim/"):
            return own_page(self, request)
        try:
            return self._handled(request)
        except Exception:
            self.raised += 1
            told = (self.name, request.method, request.path)
            _LOG.exception("the dialect %s raised while answering %s %r: a defect of the simulator", *told)
            return Response.json({"message": f"the simulated {self.name} failed, see the log of the simulator"}, 500)

    def _handled(self, request: Request) -> Response:
        self.requests += 1
        fault = self.faults.take()
        if fault is not None and fault.kind.isdigit():
            return self._refuse(fault)
        if fault is not None and fault.kind == "html":
            return Response(200, HTML, [("Content-Type", "text/html")])
        request.fault = "" if fault is None else fault.kind
        if self.is_token_request(request):
            return self.answer(request, expired=False)
        refused = self.authorize(request)
        if refused is not None:
            return refused
        quota = self._quota()
        if quota is None:
            return self.exhausted()
        response = self.answer(request, expired=fault is not None and fault.kind == "expired")
        response.headers += self.quota_headers(quota, self.reset_s())
        return self._spoiled(response, fault)

    def reset_s(self) -> int:
        """When the quota is renewed: at the next full minute, as epoch seconds."""
        return int(self.clock() // 60 + 1) * 60

    def _quota(self) -> int | None:
        """What remains of this minute's quota after this request; None if nothing was left."""
        with self._lock:
            minute = int(self.clock() // 60)
            if minute != self._minute:
                self._minute, self._used = minute, 0
            if self._used >= self.per_minute:
                return None
            self._used += 1
            return self.per_minute - self._used

    def _spoiled(self, response: Response, fault: Fault | None) -> Response:
        if fault is None:
            return response
        if fault.kind == "truncated":
            response.body = response.body[: len(response.body) // 2]
        elif fault.kind == "wrong_host":
            self.lead_elsewhere(response)
        response.fault = fault
        return response

    def _refuse(self, fault: Fault) -> Response:
        status = int(fault.kind)
        headers: list[tuple[str, str]] = []
        if fault.retry_after == "date":
            headers.append(("Retry-After", formatdate(self.clock() + fault.seconds, usegmt=True)))
        elif fault.retry_after != "none" and status in (429, 503):
            headers.append(("Retry-After", fault.retry_after or f"{fault.seconds:g}"))
        if status == 429:
            return self.too_many(headers) if fault.retry_after else self.limited(fault.seconds)
        if status == 401:
            self.minting.revoke_all()
            return self.unauthorized()
        return Response.json({"message": f"simulated {status}"}, status, headers)


def quota_told(prefix: str, limit: int, remaining: int, reset: object) -> list[tuple[str, str]]:
    """The three headers that most vendors tell a quota with, of names that begin so."""
    return [(f"{prefix}-Limit", str(limit)), (f"{prefix}-Remaining", str(remaining)), (f"{prefix}-Reset", str(reset))]


def value_at(event: dict[str, Any], path: str) -> Any:
    """What stands at a dotted path; a key that holds the dots itself is found first. None where nothing stands there."""
    if path in event:
        return event[path]
    value: Any = event
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def content_of(event: dict[str, Any]) -> str:
    """An event without an id, as one text whatever the order of its keys."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"))
