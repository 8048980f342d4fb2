"""MongoDB Atlas' events, of an organization and of a project: HTTP digest or OAuth, a dated media type, numbered pages.

Newest first by page number: without `maxDate` rows shift while they are read.
"""

from __future__ import annotations

import random
import re
from typing import Any

from flicker_dagster.simulator.checks import rfc3339_of
from flicker_dagster.simulator.digest import DigestGuard
from flicker_dagster.simulator.elsewhere import ELSEWHERE
from flicker_dagster.simulator.grants import token_for_client
from flicker_dagster.simulator.making import an_address, whole_seconds
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span
from flicker_dagster.simulator.vendor import Vendor

HOST, TOKEN_PATH, REALM = "cloud.mongodb.com", "/api/oauth/token", "MMS Public API"
PATH = re.compile(r"/api/atlas/v2/(orgs|groups)/([0-9a-f]{24})/events")
MEDIA_TYPE = re.compile(r"application/vnd\.atlas\.(20\d\d-\d\d-\d\d)\+json")
FIRST_VERSION = "2023-01-01"
KNOWN = ("minDate", "maxDate", "pageNum", "itemsPerPage", "includeCount", "includeRaw", "eventType")
MOST = 500
TYPES = {
    "organization": ("ALERT_CONFIG_DELETED_AUDIT", "API_KEY_CREATED", "JOINED_ORG", "ORG_SETTINGS_UPDATED"),
    "project": ("CLUSTER_CREATED", "NETWORK_PERMISSION_ENTRY_ADDED", "MONGODB_USER_ADDED"),
}


class MongoDBAtlas(Vendor):
    name = "mongodb_atlas"
    streams = ("organization", "project")
    params = {
        "org_id": "5e1f00a1b2c3d4e5f6a7b8c9",
        "project_id": "5e1f00d4e5f6a7b8c9d0e1f2",
        "public_key": "abcdefgh",
        "private_key": "11111111-2222-3333-4444-555555555555",
    }
    #: A service account, which authenticates with OAuth instead.
    service_account = {"client_id": "mdb_sa_id_1", "client_secret": "mdb_sa_sk_1"}
    quota_per_minute = 100
    tells_wait = "nowhere"  # which headers tell the wait is not documented: none does

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        users = {self.params["public_key"]: self.token or self.params["private_key"]}
        self.digest = DigestGuard(users, clock=self.clock, realm=REALM, tells_stale=False)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = f"{published_ms // 1000:08x}{chance.getrandbits(40):010x}{number % 0xFFFFFF:06x}"
        owner = f"orgs/{self.params['org_id']}"
        event = {
            "id": event_id,
            "created": whole_seconds(published_ms),
            "eventTypeName": chance.choice(TYPES[stream]),
            "orgId": self.params["org_id"],
            "groupId": self.params["project_id"] if stream == "project" else None,
            "userId": "5f2a",
            "username": f"{chance.choice(('ana', 'bo'))}@acme.test",
            "remoteAddress": an_address(chance),
            "isGlobalAdmin": False,
            "links": [{"href": f"https://{HOST}/api/atlas/v2/{owner}/events/{event_id}", "rel": "self"}],
        }
        return event_id, compact(event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def authorize(self, request: Request) -> Response | None:
        if self.minting.accepts(request.credentials("Bearer")):
            return None
        asks = self.digest.refused(request)
        return None if asks is None else _denied(asks)

    def unauthorized(self) -> Response:
        return _denied(self.digest.challenge())

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "RATE_LIMITED", "Resource is limited to 100 requests every 1 minutes.", headers)

    def lead_elsewhere(self, response: Response) -> None:
        """The next page is a link of the list; events have links of their own."""
        response.body = re.sub(
            rb'"href":"https?://[^/"]+([^"]*)","rel":"next"',
            rb'"href":"%s\1","rel":"next"' % ELSEWHERE.encode(),
            response.body,
        )

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return _error(404, "RESOURCE_NOT_FOUND", f"Cannot find resource {request.path}.")
        if request.path == TOKEN_PATH:
            clients = {self.service_account["client_id"]: self.service_account["client_secret"]}
            return token_for_client(request, self.minting, clients)
        found = PATH.fullmatch(request.path)
        if found is None or request.method != "GET":
            return _error(404, "RESOURCE_NOT_FOUND", f"Cannot find resource {request.path}.")
        version = MEDIA_TYPE.fullmatch(request.headers.get("accept", ""))
        if version is None or version[1] < FIRST_VERSION:
            return _error(406, "VERSIONED_MEDIA_TYPE_REQUIRED", "Accept must name a versioned media type.")
        stream = "organization" if found[1] == "orgs" else "project"
        if found[2] != self.params["org_id" if stream == "organization" else "project_id"]:
            return _error(403, "USER_UNAUTHORIZED", "Current user is not authorized to perform this action.")
        return self._events(stream, request, version[0])

    def _events(self, stream: str, request: Request, media_type: str) -> Response:
        query = request.query
        unknown = request.unknown(*KNOWN)
        number, size = request.number("pageNum", 1, least=1), request.number("itemsPerPage", 100, least=1, most=MOST)
        if unknown:
            return _error(400, "INVALID_QUERY_PARAMETER", f"Invalid query parameter {unknown[0]} specified.")
        if number is None or size is None:
            return _error(400, "INVALID_QUERY_PARAMETER", "Invalid query parameter pageNum or itemsPerPage specified.")
        bounds = {name: rfc3339_of(query[name]) for name in ("minDate", "maxDate") if name in query}
        start_ms, end_ms = bounds.get("minDate"), bounds.get("maxDate")
        inverted = start_ms is not None and end_ms is not None and start_ms > end_ms
        if None in bounds.values() or inverted:
            return _error(400, "INVALID_DATE", "minDate and maxDate must be ISO 8601 times, minDate not after maxDate.")
        events = in_span(self.emitters[stream], start_ms, end_ms, step_ms=1000, end_inclusive=True, newest_first=True)
        page = events[(number - 1) * size : number * size]
        links = [("self", number)]
        if number * size < len(events):
            links.append(("next", number + 1))
        if number > 1:
            links.insert(0, ("previous", number - 1))
        listing: dict[str, Any] = {
            "links": [{"href": f"{request.base}{request.again({'pageNum': at})}", "rel": rel} for rel, at in links],
            "results": raw(page),
        }
        if query.get("includeCount", "true") == "true":
            listing["totalCount"] = len(events)
        answer = document(listing)
        answer.headers = [("Content-Type", media_type)]
        return answer


def _denied(asks: list[tuple[str, str]]) -> Response:
    return _error(401, "USER_UNAUTHORIZED", "You are not authorized.", asks)


def _error(status: int, code: str, detail: str, headers: list[tuple[str, str]] | None = None) -> Response:
    body = {"detail": detail, "error": status, "errorCode": code, "parameters": [], "reason": code.title()}
    return Response.json(body, status, headers)
