"""Bitbucket Data Center's audit events (https://developer.atlassian.com/server/bitbucket/, auditing REST): entities
without ids, newest first, with a page cursor of time and number. Bitbucket Cloud is read through Atlassian's organization."""

from __future__ import annotations

import random
import re
from typing import Any
from urllib.parse import urlencode

from flicker_dagster.simulator.checks import span_of
from flicker_dagster.simulator.listings import by_event_time
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact, document, is_for, raw
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import beyond, by_time
from flicker_dagster.simulator.vendor import Vendor, content_of
from flicker_dagster.times import rfc3339_ms

PATH = "/rest/auditing/1.0/events"
DEFAULT_PAGE, LARGEST_PAGE = 200, 100_000
USER = "ana"
ACTIONS = (
    ("Projects", "projects", "Project created", "project.audit.action.projectcreated"),
    ("Repositories", "repositories", "Repository deleted", "repository.audit.action.repositorydeleted"),
    ("Permissions", "permissions", "Global permission granted", "permission.audit.action.globalgranted"),
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
_CURSOR = re.compile(r"(\d{13}),(\d+)")


class Bitbucket(Vendor):
    name = "bitbucket"
    id_path = None
    params = {"host": "bitbucket.acme.test", "token": "BBDC-AcmeAudit0001"}
    traits = frozenset()
    quota_per_minute = 600

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        category, key, action, action_key = chance.choice(ACTIONS)
        system = f"https://{self.params['host']}"
        event = {
            "timestamp": rfc3339_ms(published_ms),
            "author": {"name": USER, "type": "NORMAL", "id": "2", "uri": f"{system}/users/{USER}"},
            "type": {
                "category": category,
                "categoryI18nKey": f"bitbucket.service.audit.category.{key}",
                "action": action,
                "actionI18nKey": f"bitbucket.service.{action_key}",
            },
            "affectedObjects": [{"name": f"AT{number}", "type": "PROJECT", "id": str(number)}],
            "changedValues": [],
            "source": an_address(chance),
            "system": system,
            "node": "8767044c",
            "method": "Browser",
            "extraAttributes": [],
        }
        return content_of(event), compact(event)

    def is_authorized(self, request: Request) -> bool:
        """An HTTP access token is a bearer's, and the password of its user."""
        token = self.token or self.params["token"]
        return request.credentials("Bearer") == token or request.basic() == (USER, token)

    def unauthorized(self) -> Response:
        return _error(401, "Authentication failed. Please check your credentials and try again.")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(429, "You have sent too many requests.", headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, self.params["host"]) or request.method != "GET":
            return _error(404, "null for uri")
        unknown = request.unknown("from", "to", "limit", "offset", "pageCursor", "search")
        if unknown:
            return _error(400, f"{unknown[0]} is no parameter")
        limit = request.number("limit", DEFAULT_PAGE, least=1, most=LARGEST_PAGE)
        offset = request.number("offset", 0, least=0)
        if limit is None or offset is None:
            return _error(400, f"limit must be between 1 and {LARGEST_PAGE}")
        span = span_of(request, "from", "to", _TIME, now_ms=self.emitter.now_ms())
        if span is None:
            return _error(400, "from and to must be ISO date-times, from not after to")
        events = by_event_time(self.emitter, *span, newest_first=True)
        if request.query.get("pageCursor"):
            kept = None if expired else _CURSOR.fullmatch(request.query["pageCursor"])
            if kept is None:
                return _error(400, "pageCursor is invalid")
            events = beyond(events, [int(kept[1]), int(kept[2])], newest_first=True)
        page = events[offset : offset + limit]
        last = offset + len(page) >= len(events)
        paging: dict[str, Any] = {"lastPage": last, "size": len(page)}
        if not last:
            paging["nextPageCursor"] = ",".join(map(str, by_time(page[-1])))
            following = {name: value for name, value in request.query.items() if name != "offset"}
            following["pageCursor"] = paging["nextPageCursor"]
            paging["nextPageLink"] = f"{request.base}{PATH}?{urlencode(following)}"
        return document({"pagingInfo": paging, "entities": raw(page)})


def _error(status: int, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    error = {"context": None, "message": message, "exceptionName": None}
    return Response.json({"errors": [error]}, status, headers)
