"""Mimecast's audit events: the question and its page in a JSON body, the newest first, failures in `fail` with status 200.

API 2.0 has bearer tokens and wants the question again with a page's token; with `version="1.0"` requests are signed, and
a token stands for its question. The last page may name a next one, which is empty, and names one again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
from typing import Any

from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span, page_after
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, parse_http_date_ms, parse_time_ms

HOST, HOST_1 = "api.services.mimecast.com", "eu-api.mimecast.com"
TOKEN_PATH, PATH = "/oauth/token", "/api/audit/get-audit-events"
MOST = 500
STALE_MS = 900_000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}")
KINDS = (("Logon Requires Challenge", "authentication_logs"), ("User Created", "account_logs"))


class Mimecast(Vendor):
    name = "mimecast"
    params = {"client_id": "m1m3c4st2", "client_secret": "0penS3sam3"}
    #: What signs requests of API 1.0.
    signing = {
        "app_id": "4c3f1b52-app",
        "app_key": "a77f1b52-key",
        "access_key": "mYtWRrdAD9sDiWhO",
        "secret_key": base64.b64encode(b"thirty-two bytes of simulated key").decode(),
    }
    traits = frozenset({"copies", "late", "expired", "minted"})
    quota_per_minute = 300
    token_lifetime_s = 1_800
    tells_wait = "nowhere"  # which headers tell the wait is documented nowhere: none does

    def __init__(self, *, version: str = "2.0", ends_empty: bool = True, **options: Any) -> None:
        self.version, self.ends_empty = version, ends_empty
        self.questions: dict[str, list[Any]] = {}  # 1.0: what each token was given for
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"eNqrVipO{chance.getrandbits(72):018x}{number:06d}"
        kind, category = chance.choice(KINDS)
        moment = datetime_of(published_ms)
        address = an_address(chance)
        event = {
            "id": event_id,
            "auditType": kind,
            "user": f"{chance.choice(('ana', 'bo'))}@acme.test",
            "eventTime": f"{moment:%Y-%m-%dT%H:%M:%S}+0000",
            "eventInfo": f"Date: {moment:%Y-%m-%d}, Time: {moment:%H:%M:%S}+0000, IP: {address}, Application: Console",
            "category": category,
        }
        return event_id, compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and self.version == "2.0"

    def is_authorized(self, request: Request) -> bool:
        if self.version == "2.0":
            token = request.credentials("Bearer")
            return token == self.token or self.minting.accepts(token)
        date, number = request.headers.get("x-mc-date", ""), request.headers.get("x-mc-req-id", "")
        sent_ms = parse_http_date_ms(date)
        fresh = sent_ms is not None and abs(sent_ms - self.emitter.now_ms()) <= STALE_MS
        text = f"{date}:{number}:{request.path}:{self.signing['app_key']}".encode()
        key = base64.b64decode(self.signing["secret_key"])
        signature = base64.b64encode(hmac.digest(key, text, hashlib.sha1)).decode()
        right = f"MC {self.signing['access_key']}:{signature}"
        same = hmac.compare_digest(request.headers.get("authorization", ""), right)
        signed = same and request.headers.get("x-mc-app-id") == self.signing["app_id"]
        return fresh and bool(number) and signed

    def unauthorized(self) -> Response:
        return _failed("err_xdk_invalid_signature", "0018 Invalid credentials", status=401)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _failed("err_rate_limit", "Quota exceeded", status=429, headers=headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST if self.version == "2.0" else HOST_1):
            return _failed("err_not_found", "Not Found", status=404)
        if self.is_token_request(request):
            clients = {self.params["client_id"]: self.params["client_secret"]}
            return token_for_client(request, self.minting, clients)
        if (request.method, request.path) != ("POST", PATH):
            return _failed("err_not_found", "Not Found", status=404)
        body = request.json()
        if content_type(request) != "application/json" or not isinstance(body, dict) or body.keys() - {"meta", "data"}:
            return _failed("err_validation_invalid_json", "Expected a JSON object with meta and data", status=400)
        return self._events(body, expired)

    def _events(self, body: dict[str, Any], expired: bool) -> Response:
        meta = body.get("meta", {})
        paging = meta.get("pagination", {}) if isinstance(meta, dict) else None
        if not isinstance(paging, dict):
            return _failed("err_validation_null", "meta.pagination must be an object")
        size, token = paging.get("pageSize", 100), paging.get("pageToken")
        if paging.keys() - {"pageSize", "pageToken"} or not isinstance(size, int) or not 1 <= size <= MOST:
            return _failed("err_validation_pagination", f"pageSize must be between 1 and {MOST}")
        asked = body.get("data")
        if token is not None and self.version == "1.0":
            if asked:
                return _failed("err_validation_pagination", "data must not be sent with a pageToken")
            asked = self.questions.get(str(token))
        span = _span(asked)
        if span is None:
            return _failed("err_validation_null", "startDateTime and endDateTime must be like 2026-05-02T09:00:00+0000")
        events = in_span(self.emitter, *span, step_ms=1000, end_inclusive=True, newest_first=True)
        page = page_after(events, size, token, asked, newest_first=True, expired=expired)
        if page is None:
            return _failed("err_validation_pagination_token", "Invalid page token")
        pagination: dict[str, Any] = {"pageSize": size}
        following = (page.last or token) if self.ends_empty else page.following
        if following is not None:
            pagination["next"] = following
            self.questions[following] = asked or []
        return document({"meta": {"status": 200, "pagination": pagination}, "data": raw(page.events), "fail": []})


def _span(asked: Any) -> tuple[int, int] | None:
    if not isinstance(asked, list) or len(asked) != 1 or not isinstance(asked[0], dict):
        return None
    times = [asked[0].get(name, "") for name in ("startDateTime", "endDateTime")]
    if asked[0].keys() - {"startDateTime", "endDateTime"} or not all(_TIME.fullmatch(str(text)) for text in times):
        return None
    start_ms, end_ms = (parse_time_ms(text) for text in times)
    return None if start_ms is None or end_ms is None or start_ms > end_ms else (start_ms, end_ms)


def _failed(code: str, message: str, *, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    errors = [{"code": code, "message": message, "retryable": False}]
    meta = {"status": 400 if status == 200 else status}
    return Response.json({"meta": meta, "data": [], "fail": [{"errors": errors}]}, status, headers)
