"""Box's enterprise events (https://developer.box.com/guides/events/enterprise-events/): the live stream with a position
that can be kept, the history by time, and the three ways in which an application is let in."""

from __future__ import annotations

import random
import re
import threading
from typing import Any, ClassVar

from flicker_dagster.simulator.assertions import BadAssertion, claims_of, private_key_pem
from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.grants import FORM, JWT_BEARER, granted, refused
from flicker_dagster.simulator.listings import by_arrival, by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, holds, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import format_time, zone_of

HOST = "api.box.com"
PATH, TOKEN_PATH = "/2.0/events", "/oauth2/token"
#: Positions are whole numbers that no float holds. Every event is two further; what is odd was reached without an event.
FIRST_POSITION = 1_152_922_979_252_290_886
LARGEST_PAGE = 500
STREAM_KEPT_MS, HISTORY_KEPT_MS = 14 * 86_400_000, 365 * 86_400_000
ASSERTION_LIFE_S = 60
WESTERN = "%Y-%m-%dT%H:%M:%S-08:00"
TYPES = ("DOWNLOAD", "UPLOAD", "LOGIN", "ITEM_SHARED", "DELETE")
GRANTS = {"client_credentials": "client_credentials", "jwt": JWT_BEARER, "refresh_token": "refresh_token"}


class Box(Vendor):
    """`auth` is how the application is let in: `client_credentials`, `jwt` (see `jwt_params`) or `refresh_token` (see
    `refresh_params`), whose refresh tokens are good for one time. `text_positions`: are positions text, or numbers?
    `behind_s`: how long after its processing an event reaches the stream, about 12 s at the real one."""

    name = "box"
    id_path = "event_id"
    params = {"enterprise_id": "1234567", "client_id": "boxclient01", "client_secret": "box-secret-01"}
    refresh_params: ClassVar = {
        "client_id": "boxclient01",
        "client_secret": "box-secret-01",
        "refresh_token": "rt-first",
    }
    key_id: ClassVar = "k3y1d001"
    traits = frozenset({"copies", "late", "minted", "empty"})
    quota_per_minute = 1_000

    def __init__(
        self,
        *,
        auth: str = "client_credentials",
        text_positions: bool = False,
        behind_s: float = 0.0,
        **options: Any,
    ) -> None:
        self.auth = auth
        self._text_positions = text_positions
        self._behind_ms = int(behind_s * 1000)
        self._refresh_token = self.refresh_params["refresh_token"]
        self._assertions: set[str] = set()
        self._guard = threading.Lock()
        super().__init__(**options)

    @classmethod
    def jwt_params(cls) -> dict[str, str]:
        return {**cls.params, "key_id": cls.key_id, "private_key": private_key_pem()}

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"{chance.getrandbits(160):040x}"
        person, login = chance.choice((("Ana Lopez", "ana"), ("Bob Ray", "bob")))
        event = {
            "type": "event",
            "event_id": event_id,
            "created_at": format_time(published_ms, WESTERN, zone_of("-08:00")),
            "recorded_at": format_time(published_ms + 1_000, WESTERN, zone_of("-08:00")),
            "event_type": chance.choice(TYPES),
            "created_by": {"type": "user", "id": "11446498", "name": person, "login": f"{login}@acme.test"},
            "source": {"item_type": "file", "item_id": str(12_345 + number), "item_name": f"plan-{number}.docx"},
            "ip_address": an_address(chance),
            "session_id": None,
            "additional_details": {"size": 2_048 + number, "service_name": "Box Web Application"},
        }
        return event_id, compact(event)

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, HOST)

    def _token(self, request: Request) -> Response:
        form = request.form
        if request.method != "POST" or content_type(request) != FORM:
            return refused("invalid_request", "expected a form by POST")
        if form.get("grant_type") != GRANTS[self.auth]:
            return refused("unauthorized_client", "This app is not authorized for this grant type")
        known = (self.params["client_id"], self.token or self.params["client_secret"])
        if (form.get("client_id"), form.get("client_secret")) != known:
            return refused("invalid_client", "The client credentials are invalid")
        if self.auth == "refresh_token":
            return self._renewed(form.get("refresh_token", ""))
        wrong = self._wrong_assertion(form.get("assertion", "")) if self.auth == "jwt" else _wrong_subject(form)
        if wrong is not None:
            return refused("invalid_grant", wrong)
        return granted(self.minting, token_type="bearer", restricted_to=[])

    def _renewed(self, refresh_token: str) -> Response:
        """A refresh token is good for one time: the answer holds the next one."""
        with self._guard:
            if refresh_token != self._refresh_token:
                return refused("invalid_grant", "Refresh token has expired")
            self._refresh_token = f"rt-{self.minting.minted + 1:016x}"
            return granted(self.minting, token_type="bearer", refresh_token=self._refresh_token, restricted_to=[])

    def _wrong_assertion(self, assertion: str) -> str | None:
        audience = f"https://{HOST}{TOKEN_PATH}"
        required = ("iss", "sub", "box_sub_type", "aud", "jti", "exp")
        try:
            claims = claims_of(
                assertion, audiences=(audience,), clock=self.clock, key_id=self.key_id, required=required
            )
        except BadAssertion as error:
            return f"Please check the assertion: {error}"
        if claims["iss"] != self.params["client_id"]:
            return "Please check the 'iss' claim. The client id specified is invalid."
        if (claims["sub"], claims["box_sub_type"]) != (self.params["enterprise_id"], "enterprise"):
            return "Please check the 'sub' claim. The 'sub' specified is invalid."
        if claims["exp"] - self.clock() > ASSERTION_LIFE_S:
            return "Please check the 'exp' claim. It must be within 60 seconds."
        with self._guard:
            if not 16 <= len(str(claims["jti"])) <= 128 or str(claims["jti"]) in self._assertions:
                return "Please check the 'jti' claim. A unique 'jti' value is required."
            self._assertions.add(str(claims["jti"]))
        return None

    # -- events

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        asks = ("WWW-Authenticate", 'Bearer realm="Service", error="invalid_token"')
        return _error(401, "unauthorized", "Unauthorized", [asks])

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "rate_limit_exceeded", "Request rate limit exceeded, please try again later", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        if request.path != PATH or not is_for(request, HOST):
            return _error(404, "not_found", "Not Found")
        if request.method != "GET":
            return _error(405, "method_not_allowed", "Method Not Allowed")
        query = request.query
        unknown = request.unknown(
            "stream_type", "stream_position", "limit", "event_type", "created_after", "created_before"
        )
        kind = query.get("stream_type", "all")
        if unknown or kind not in ("admin_logs_streaming", "admin_logs"):
            return _error(400, "bad_request", f"Invalid {unknown[0] if unknown else 'stream_type'}")
        limit = request.number("limit", 100, least=1, most=LARGEST_PAGE)
        if limit is None:
            return _error(400, "bad_request", "Invalid value for limit")
        place = _place(query.get("stream_position", "0"))
        if place is None or expired:
            return _error(400, "bad_request", "Invalid value for stream_position")
        if kind == "admin_logs_streaming":
            return self._stream(request, place, limit)
        return self._history(request, place, limit)

    def _stream(self, request: Request, place: int, limit: int) -> Response:
        """By arrival, without order in a chunk. What the times beside it say is ignored."""
        now_ms = self.emitter.now_ms()
        events = by_arrival(self.emitter, None, now_ms - self._behind_ms)
        if place < 0:
            return self._chunk([], len(events) * 2)
        kept_from = len(events) - len(by_arrival(self.emitter, now_ms - STREAM_KEPT_MS, now_ms - self._behind_ms))
        start = max(place // 2, kept_from)
        if request.fault == "empty":
            return self._chunk([], start * 2 + 1)
        page = events[start : start + limit - limit // 3]  # a short chunk is not the last
        reached = (start + len(page)) * 2
        shown = [event for event in reversed(page) if _asked_for(event, request)]
        return self._chunk(shown, reached if page else max(place, start * 2))

    def _history(self, request: Request, place: int, limit: int) -> Response:
        """By event time; what arrives late behind a position is not seen from there."""
        times = {name: request.query.get(name) for name in ("created_after", "created_before")}
        after_ms, before_ms = (rfc3339_of(text) for text in times.values())
        if any(text is not None and rfc3339_of(text) is None for text in times.values()):
            return _error(400, "bad_request", "Invalid date")
        if after_ms is not None and before_ms is not None and after_ms > before_ms:
            return _error(400, "bad_request", "created_after is later than created_before")
        oldest_ms = self.emitter.now_ms() - HISTORY_KEPT_MS
        events = by_event_time(self.emitter, max(after_ms or 0, oldest_ms), before_ms)
        start = len(events) if place < 0 else place // 2
        page = events[start : start + limit]
        return self._chunk([event for event in page if _asked_for(event, request)], (start + len(page)) * 2)

    def _chunk(self, events: list[Any], place: int) -> Response:
        position = FIRST_POSITION + place
        following = str(position) if self._text_positions else position
        return document({"chunk_size": len(events), "next_stream_position": following, "entries": raw(events)})


def _place(position: str) -> int | None:
    """Twice the number of events before a position; -1 for `now`, None for what is no position."""
    if position in ("0", "", "null"):
        return 0
    if position == "now":
        return -1
    place = int(position) - FIRST_POSITION if re.fullmatch("[0-9]+", position) else -1
    return place if place >= 0 else None


def _wrong_subject(form: dict[str, str]) -> str | None:
    subject = (form.get("box_subject_type"), form.get("box_subject_id"))
    return None if subject == ("enterprise", Box.params["enterprise_id"]) else "Grant credentials are invalid"


def _asked_for(event: Event, request: Request) -> bool:
    wanted = request.query.get("event_type", "")
    return not wanted or holds(event, "event_type", *wanted.split(","))


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    answer = {"type": "error", "status": status, "code": code, "message": message, "request_id": "abcdef123456"}
    return Response.json(answer, status, headers)
