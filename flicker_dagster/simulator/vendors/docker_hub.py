"""Docker Hub's audit logs: numbered pages without a total, rows without an id, and a token that lasts for minutes."""

from __future__ import annotations

import random
from typing import Any

from flicker_dagster.simulator.alike import Alike, once_each
from flicker_dagster.simulator.checks import content_type, rfc3339_of
from flicker_dagster.simulator.making import whole_seconds
from flicker_dagster.simulator.pages import document, holds, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.spans import in_span
from flicker_dagster.simulator.vendor import Vendor

HOST, ACCOUNT = "hub.docker.com", "acme"
PATH, TOKEN_PATH = f"/v2/auditlogs/{ACCOUNT}", "/v2/auth/token"
MOST = 100
ACTIONS = ("repo.tag.push", "repo.tag.delete", "repo.create", "team.member.add")


class DockerHub(Vendor):
    """The newest first, in whole seconds, and rows may be equal. Numbered pages move when late rows come between them."""

    name = "docker_hub"
    id_path = None
    equal_rows = True
    params = {"account": ACCOUNT, "username": "ana", "token": "dckr_pat_simulated0personal0access0"}
    traits = frozenset({"late", "minted"})
    quota_per_minute = 600
    token_lifetime_s = 600
    tells_wait = "nowhere"

    def __init__(self, **options: Any) -> None:
        self._alike = Alike()
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        def event() -> dict[str, Any]:
            digest = f"sha256:{chance.getrandbits(64):016x}"
            action = chance.choice(ACTIONS)
            return {
                "account": ACCOUNT,
                "action": action,
                "name": f"{ACCOUNT}/app",
                "actor": chance.choice(("ana", "bob", "chi")),
                "data": {"digest": digest, "tag": "latest"},
                "timestamp": whole_seconds(published_ms),
                "action_description": f"pushed the tag latest with the digest {digest} to the repository {ACCOUNT}/app\n",
            }

        return self._alike.row(stream, published_ms, chance, event)

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH

    def _token(self, request: Request) -> Response:
        if request.method != "POST" or content_type(request) != "application/json":
            return _error(400, "expected POST of a JSON object")
        body = request.json()
        if not isinstance(body, dict) or body.keys() != {"identifier", "secret"}:
            return _error(400, "expected identifier and secret")
        if (body["identifier"], body["secret"]) != (self.params["username"], self.params["token"]):
            return _error(401, "Incorrect authentication credentials")
        token = self.minting.mint(prefix="eyJhbGciOiJSUzI1NiJ9.")
        return Response.json({"access_token": token})

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.credentials("Bearer"))

    def unauthorized(self) -> Response:
        return _error(401, "unauthorized")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return Response.json({"detail": "Rate limit exceeded", "error": False}, 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not is_for(request, HOST):
            return _error(404, "not found")
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.path == f"{PATH}/actions":
            return Response.json({"actions": {"repo": {"actions": [{"name": name} for name in ACTIONS]}}})
        if request.path != PATH or request.method != "GET":
            return _error(404, "not found")
        unknown = request.unknown("from", "to", "page", "page_size", "action", "name", "actor")
        if unknown:
            return _error(400, f"unknown parameter {unknown[0]}")
        times = {name: rfc3339_of(request.query[name]) for name in ("from", "to") if name in request.query}
        start_ms, end_ms = times.get("from"), times.get("to")
        if None in times.values() or (start_ms is not None and end_ms is not None and start_ms > end_ms):
            return _error(400, "from and to must be date-times, in this order")
        page, size = request.number("page", 1, least=1), request.number("page_size", 25, least=1, most=MOST)
        if page is None or size is None:
            return _error(400, f"page begins with 1, and page_size is {MOST} at most")
        events = in_span(self.emitter, start_ms, end_ms, step_ms=1000, end_inclusive=True, newest_first=True)
        for name in ("action", "name", "actor"):
            if name in request.query:
                events = [event for event in events if holds(event, name, request.query[name])]
        return document({"logs": once_each(events[(page - 1) * size : page * size])})


def _error(status: int, detail: str) -> Response:
    return Response.json({"detail": detail, "message": detail, "error": True}, status)
