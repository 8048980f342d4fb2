"""A vendor of no name, for APIs that no preset knows: order, paging and shape are settable."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.making import a_uuid
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import parse_time_ms, rfc3339_ms

PATH = "/events"


@dataclass(frozen=True)
class Shape:
    """How the API lists. `paging` is cursor, page, offset, link or none; `most` caps a page below what was asked.

    Page numbers and offsets count in the listing as it is at that moment: rows shift while it is read, as they do.
    """

    newest_first: bool = False
    paging: str = "cursor"
    page_size: int = 10
    most: int = 1_000
    with_ids: bool = True


class Plain(Vendor):
    """`GET /events?since=…&until=…&limit=…` and `cursor`, `page` or `offset`; answers `{"data": {"events": […]}, …}`."""

    name = "plain"

    def __init__(self, *, shape: Shape | None = None, **options: Any) -> None:
        self.shape = shape or Shape()
        super().__init__(**options)

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = a_uuid(chance)
        event: dict[str, Any] = {"time": rfc3339_ms(published_ms), "type": "login", "number": number, "mark": event_id}
        if self.shape.with_ids:
            event["id"] = event_id
        return event_id, json.dumps(event, separators=(",", ":")).encode()

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-RateLimit", self.per_minute, remaining, reset_s)

    def exhausted(self) -> Response:
        return self.too_many(self.quota_headers(0, self.reset_s()))

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH:
            return Response.json({"message": "Not Found"}, 404)
        query, shape = request.query, self.shape
        since_ms = parse_time_ms(query.get("since", "")) or 0
        until_ms = parse_time_ms(query.get("until", "")) or self.emitter.now_ms()
        listed = self.emitter.between(since_ms, until_ms)
        if shape.newest_first:
            listed = listed[::-1]
        limit = min(int(query.get("limit", shape.page_size)), shape.most)
        start = self._start(query, listed, limit)
        if start is None or expired:
            return Response.json({"message": "invalid cursor"}, 400)
        page = listed[start : start + limit]
        more = start + len(page) < len(listed)
        return self._page(request, page, more=more)

    def _start(self, query: dict[str, str], listed: list[Event], limit: int) -> int | None:
        paging = self.shape.paging
        if paging == "page":
            return (int(query.get("page", 1)) - 1) * limit
        if paging == "offset":
            return int(query.get("offset", 0))
        if "cursor" not in query:
            return 0
        number = query["cursor"].removeprefix("after-")
        if not number.isdigit():
            return None
        return next((i + 1 for i, event in enumerate(listed) if event.number == int(number)), len(listed))

    def _page(self, request: Request, page: list[Event], *, more: bool) -> Response:
        cursor = f"after-{page[-1].number}" if page and more else None
        body = b'{"data":{"events":[%b]},"meta":{"next_cursor":%b,"has_more":%b}}' % (
            b",".join(event.body for event in rows(page)),
            json.dumps(cursor).encode() if self.shape.paging == "cursor" else b"null",
            b"true" if more else b"false",
        )
        headers = [("Content-Type", "application/json")]
        if self.shape.paging == "link" and cursor is not None:
            since = request.query.get("since", "")
            until = request.query.get("until", "")
            headers.append(
                ("Link", f'<{self.url}{PATH}?cursor={cursor}&since={since}&until={until}>; rel="next"'),
            )
        return Response(200, body, headers)
