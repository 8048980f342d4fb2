"""Microsoft 365: the Office 365 Management Activity API. Subscribe to a content type, list its blobs, fetch each."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from flicker_dagster.simulator.activity_blobs import Blob, Blobs
from flicker_dagster.simulator.elsewhere import ELSEWHERE, lead_elsewhere
from flicker_dagster.simulator.listings import cursor_of, place_of
from flicker_dagster.simulator.making import a_uuid, an_address
from flicker_dagster.simulator.microsoft_login import ACCOUNT, TENANT_ID, is_login, login
from flicker_dagster.simulator.pages import compact, is_for, time_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of

HOST = "manage.office.com"
PATH = re.compile(r"/api/v1(?:\.0)?/([^/]+)/activity/feed/(subscriptions/(?:start|stop|list|content)|audit/(.+))")
HOUR_MS = 3_600_000
KEPT_MS = 168 * HOUR_MS
TIME = r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?"
_CONTENT_URI = re.compile(rb'("contentUri": ")https?://[^/"]+')
CONTENT_TYPES = {
    "audit_azure_active_directory": "Audit.AzureActiveDirectory",
    "audit_exchange": "Audit.Exchange",
    "audit_sharepoint": "Audit.SharePoint",
    "audit_general": "Audit.General",
    "dlp_all": "DLP.All",
}
#: Workload, record type and operations of a stream.
RECORDS = {
    "audit_azure_active_directory": ("AzureActiveDirectory", 15, ("UserLoggedIn", "UserLoginFailed", "Add user.")),
    "audit_exchange": ("Exchange", 2, ("MailItemsAccessed", "Send", "New-InboxRule")),
    "audit_sharepoint": ("SharePoint", 6, ("FileDownloaded", "FileAccessed", "SharingSet")),
    "audit_general": ("MicrosoftTeams", 25, ("TeamCreated", "MemberAdded", "MessageSent")),
    "dlp_all": ("Exchange", 13, ("DlpRuleMatch", "DlpRuleUndo")),
}


class Microsoft365(Vendor):
    """A tenant with all content types and no subscription yet.

    The first start of a subscription brings what was recorded before as well; what arrives while it is stopped is lost
    (`is_listed`). Starts of one content type are taken every `start_every_s`. `fetched` counts fetches by content id,
    `started` starts by content type. `quota_status` may be 429 as well, `next_header` NextPageUrl. With `again_after_s`
    each blob is listed a second time, under its id and so much later.
    """

    name = "microsoft_365"
    streams = tuple(CONTENT_TYPES)
    id_path = "Id"
    params = ACCOUNT
    traits = frozenset({"expired", "empty", "copies", "late", "minted"})
    quota_per_minute = 2_000
    token_lifetime_s = 3_599
    tells_wait = "nowhere"

    def __init__(
        self,
        *,
        start_every_s: float = 900.0,
        again_after_s: float | None = None,
        blobs_per_page: int = 20,
        quota_status: int = 403,
        next_header: str = "NextPageUri",
        **options: Any,
    ) -> None:
        self.start_every_s = start_every_s
        self.again_after_s = again_after_s
        self.blobs_per_page = blobs_per_page
        self.quota_status = quota_status
        self.next_header = next_header
        self.started: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._enabled: dict[str, bool] = {}  # by content type, in the order of their first start
        self._started_s: dict[str, float] = {}
        self._blobs = {stream: Blobs(kind) for stream, kind in CONTENT_TYPES.items()}
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        workload, record_type, operations = RECORDS[stream]
        person = chance.choice(("ana", "bob", "chi", "dee"))
        record = {
            "CreationTime": f"{datetime_of(published_ms):%Y-%m-%dT%H:%M:%S}",
            "Id": event_id,
            "Operation": chance.choice(operations),
            "OrganizationId": TENANT_ID,
            "RecordType": record_type,
            "ResultStatus": chance.choice(("Succeeded", "Failed")),
            "UserKey": f"i:0h.f|membership|{chance.getrandbits(32):08x}@live.com",
            "UserType": 0,
            "Version": 1,
            "Workload": workload,
            "ClientIP": an_address(chance),
            "ObjectId": f"https://acme.sharepoint.com/sites/x/{number}.docx",
            "UserId": f"{person}@acme.test",
        }
        return event_id, compact(record)

    def is_listed(self, stream: str, body: bytes) -> bool:
        lost = self._blobs[stream or self.streams[0]].lost
        return not lost or re.findall(rb'"Id":"([^"]+)"', body)[0].decode() not in lost

    # -- who may ask

    def is_token_request(self, request: Request) -> bool:
        return is_login(request)

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return Response.json({"Message": "Authorization has been denied for this request."}, 401)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error("AF429", "Too many requests. Method=GetBlob", self.quota_status, headers)

    def lead_elsewhere(self, response: Response) -> None:
        """The next page and the content, which want the token as well."""
        response.body = _CONTENT_URI.sub(rb"\g<1>" + ELSEWHERE.encode(), response.body)
        lead_elsewhere(response, header=self.next_header)

    # -- the feed

    def answer(self, request: Request, *, expired: bool) -> Response:
        if is_login(request):
            return login(request, self.minting, resource=f"https://{HOST}")
        found = PATH.fullmatch(request.path)
        if found is None or not is_for(request, HOST):
            return Response.json({"Message": "No HTTP resource was found that matches the request URI."}, 404)
        if found[1] != TENANT_ID:
            return _error(
                "AF20010", "The tenant ID passed in the URL does not match the tenant ID in the access token."
            )
        action = found[2].rpartition("/")[2]
        if found[3]:
            return self._content(found[3], request)
        if request.method != ("POST" if action in ("start", "stop") else "GET"):
            message = f"The requested resource does not support http method '{request.method}'."
            return Response.json({"Message": message}, 405)
        known = ["PublisherIdentifier", *(["contentType"] if action != "list" else [])]
        unknown = request.unknown(*known, *(["startTime", "endTime", "nextPage"] if action == "content" else []))
        if unknown:
            return _error("AF20002", f"Invalid parameter: {unknown[0]}")
        if action == "list":
            return Response.json([_subscription(kind, on) for kind, on in self._enabled.items()])
        kind = request.query.get("contentType")
        stream = next((stream for stream, each in CONTENT_TYPES.items() if each == kind), None)
        if kind is None:
            return _error("AF20001", "Missing parameter: contentType.")
        if stream is None:
            return _error("AF20020", "The specified content type is not valid.")
        with self._guard:
            if action == "start":
                return self._start(stream, kind)
            if not self._enabled.get(kind):
                return _error("AF20022", "No subscription found for the specified content type")
            if action == "stop":
                self._look(stream)
                self._enabled[kind] = False
                return Response(204)
        return self._list(request, stream, expired=expired)

    def _start(self, stream: str, kind: str) -> Response:
        self.started[kind] += 1
        if self.clock() - self._started_s.get(kind, -self.start_every_s) < self.start_every_s:
            return _error("AF429", "Too many requests. Method=StartSubscription", self.quota_status)
        self._started_s[kind] = self.clock()
        if self._enabled.get(kind):
            return _error("AF20024", "The subscription is already enabled. No property change.")
        if kind in self._enabled:
            self._look(stream)  # what arrived while it was stopped
        self._enabled[kind] = True
        return Response.json(_subscription(kind, True))

    def _look(self, stream: str) -> list[Blob]:
        kind = CONTENT_TYPES[stream]
        subscribed = self._enabled.get(kind, True)
        return self._blobs[stream].look(self.emitters[stream], subscribed=subscribed)

    def _list(self, request: Request, stream: str, *, expired: bool) -> Response:
        now_ms = self.emitter.now_ms()
        times: list[int] = []
        for name in ("startTime", "endTime"):
            if name in request.query:
                ms = time_in(request.query[name], TIME)
                if ms is None:
                    return _error("AF20002", f"Invalid parameter type: {name}. Expected type: DateTime")
                times.append(ms)
        if len(times) == 1:
            return _error("AF20030", _BOUNDS)
        start_ms, end_ms = times or (now_ms - 24 * HOUR_MS, now_ms)
        if times and end_ms - start_ms >= 24 * HOUR_MS:
            return _error("AF20055", _BOUNDS)
        if start_ms >= end_ms or start_ms < now_ms - KEPT_MS - HOUR_MS or start_ms > now_ms:
            return _error("AF20030", _BOUNDS)
        asked = [stream, request.query.get("startTime"), request.query.get("endTime")]
        begin = 0
        if "nextPage" in request.query:
            kept = None if expired else place_of(request.query["nextPage"])
            if kept is None or kept.get("asked") != asked:
                return _error("AF20031", f"Invalid nextPage Input: {request.query['nextPage'][:40]}.")
            begin = kept["begin"]
        blobs = [each for each in self._available(stream) if start_ms <= each[0] < min(end_ms, now_ms + 1)]
        page = [] if request.fault == "empty" else blobs[begin : begin + self.blobs_per_page]
        headers = []
        if begin + len(page) < len(blobs) or request.fault == "empty":
            following = request.query | {"nextPage": cursor_of(asked=asked, begin=begin + len(page))}
            path = f"/api/v1/{TENANT_ID}/activity/feed/subscriptions/content"
            headers = [(self.next_header, f"{request.base}{path}?{urlencode(following)}")]
        return Response.json([_listed(request, stream, *each) for each in page], headers=headers)

    def _available(self, stream: str) -> list[tuple[int, Blob]]:
        """Blobs by when they became available, some of them a second time."""
        blobs = [(blob.created_ms, blob) for blob in self._look(stream)]
        if self.again_after_s is None:
            return blobs
        again = [(at_ms + int(self.again_after_s * 1000), blob) for at_ms, blob in blobs]
        return sorted(blobs + again, key=lambda each: each[0])

    def _content(self, content_id: str, request: Request) -> Response:
        if request.method != "GET":
            return Response.json({"Message": "The requested resource does not support this method."}, 405)
        unknown = request.unknown("PublisherIdentifier")
        if unknown:
            return _error("AF20002", f"Invalid parameter: {unknown[0]}")
        content_id = content_id.replace("%24", "$")
        blobs = (blob for stream in self.streams for blob in self._look(stream))
        blob = next((blob for blob in blobs if blob.content_id == content_id), None)
        if blob is None:
            return _error("AF20050", f"The specified content ({content_id[:80]}) does not exist.")
        if blob.created_ms + KEPT_MS <= self.emitter.now_ms():
            return _error("AF20051", f"Content requested with the key {content_id} has already expired.")
        with self._guard:
            self.fetched[content_id] += 1
        return Response(200, b"[" + b",".join(blob.bodies) + b"]", [("Content-Type", "application/json")])


_BOUNDS = (
    "Start time and end time must both be specified (or both omitted) and must be less than or equal to 24 hours "
    "apart, with the start time no more than 7 days in the past."
)


def _subscription(kind: str, enabled: bool) -> dict[str, Any]:
    return {"contentType": kind, "status": "enabled" if enabled else "disabled", "webhook": None}


def _listed(request: Request, stream: str, at_ms: int, blob: Blob) -> dict[str, str]:
    return {
        "contentUri": f"{request.base}/api/v1.0/{TENANT_ID}/activity/feed/audit/{blob.content_id}",
        "contentId": blob.content_id,
        "contentType": CONTENT_TYPES[stream],
        "contentCreated": f"{datetime_of(at_ms):%Y-%m-%dT%H:%M:%S}.000Z",
        "contentExpiration": f"{datetime_of(blob.created_ms + KEPT_MS):%Y-%m-%dT%H:%M:%S}.000Z",
    }


def _error(code: str, message: str, status: int = 400, headers: list[tuple[str, str]] | None = None) -> Response:
    """https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference#errors"""
    return Response.json({"error": {"code": code, "message": message}}, status, headers)
