"""GitHub's audit log of an organization or an enterprise: newest first unless asked otherwise, times inside the search
phrase, opaque cursors. A GitHub App signs itself in and is given a token for its installation."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any, ClassVar

from flicker_dagster.simulator.assertions import BadAssertion, claims_of, private_key_pem
from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.making import whole_seconds
from flicker_dagster.simulator.pages import is_for, link_header
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor, quota_told
from flicker_dagster.times import parse_time_ms

HOST = "api.github.com"
ASSERTION_LIFE_S = 600
DAY_MS = 86_400_000
PATH = re.compile(r"/(orgs|enterprises)/[^/]+/audit-log")
ACTIONS = ("org.add_member", "repo.create", "team.add_repository", "protected_branch.update", "git.clone")
_INSTALLATION = re.compile(r"/app/installations/(\d+)/access_tokens")
_CREATED = re.compile(r"created:(>=|<=|>|<)?(\S*)")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d))?")


class GitHub(Vendor):
    """`app`: is the log read by a GitHub App, with tokens for its installation alone (see `app_params`)?"""

    name = "github"
    streams = ("org", "enterprise")
    id_path = "_document_id"
    params = {"org": "acme", "enterprise": "acme", "token": "ghp_AcmeAudit0001"}
    installation: ClassVar = {"org": "acme", "app_id": "4711", "installation_id": "99887766"}
    traits = frozenset({"copies", "late", "expired", "minted"})

    def __init__(self, *, app: bool = False, **options: Any) -> None:
        self.app = app
        super().__init__(**options)

    @classmethod
    def app_params(cls) -> dict[str, str]:
        return {**cls.installation, "private_key": private_key_pem()}

    def is_listed(self, stream: str, body: bytes) -> bool:
        """Git events are listed only for who asks for them (`include=all`)."""
        return b'"action":"git.' not in body

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        event_id = base64.urlsafe_b64encode(chance.getrandbits(128).to_bytes(16, "big")).decode().rstrip("=")
        action = chance.choice(ACTIONS)
        event = {
            "@timestamp": published_ms,
            "_document_id": event_id,
            "action": action,
            "actor": "octo-ana",
            "actor_id": 583231,
            "actor_location": {"country_code": "FR"},
            "created_at": published_ms,
            "operation_type": "create",
            "org": "acme",
            "org_id": 4242,
            "user": f"octo-{chance.randrange(100)}",
            "user_id": 583000 + chance.randrange(1000),
        }
        if action.startswith("git."):
            del event["created_at"]
        return event_id, json.dumps(event, separators=(",", ":")).encode()

    def is_token_request(self, request: Request) -> bool:
        return _INSTALLATION.fullmatch(request.path) is not None and is_for(request, HOST)

    def is_authorized(self, request: Request) -> bool:
        return self.minting.accepts(request.bearer()) if self.app else super().is_authorized(request)

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return quota_told("X-RateLimit", self.per_minute, remaining, reset_s)

    def exhausted(self) -> Response:
        return self.too_many([])

    def _token(self, request: Request, installation_id: str) -> Response:
        """For an assertion of ten minutes at most that the app signed."""
        try:
            claims = claims_of(request.bearer(), audiences=(), clock=self.clock, required=("iss", "iat", "exp"))
        except BadAssertion:
            return Response.json({"message": "A JSON web token could not be decoded"}, 401)
        if not self.app or str(claims["iss"]) != self.installation["app_id"]:
            return Response.json({"message": "Integration not found"}, 404)
        if claims["exp"] - claims["iat"] > ASSERTION_LIFE_S + 60:  # issued a minute ago, against clocks that drift
            return Response.json({"message": "'Expiration time' claim ('exp') is too far in the future"}, 401)
        if request.method != "POST" or installation_id != self.installation["installation_id"]:
            return Response.json({"message": "Not Found"}, 404)
        ends = whole_seconds(self.emitter.now_ms() + int(self.token_lifetime_s * 1000))
        token = self.minting.mint(prefix="ghs_")
        return Response.json({"token": token, "expires_at": ends, "permissions": {}}, 201)

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        """GitHub says 403 as often as 429 when nothing remains."""
        if not any(name == "Retry-After" for name, _ in headers):
            headers = self.quota_headers(0, self.reset_s())
            return Response.json({"message": "API rate limit exceeded"}, 403, headers)
        return Response.json({"message": "You have exceeded a secondary rate limit"}, 429, headers)

    def answer(self, request: Request, *, expired: bool) -> Response:
        installation = _INSTALLATION.fullmatch(request.path)
        if installation is not None and is_for(request, HOST):
            return self._token(request, installation[1])
        path = PATH.fullmatch(request.path)
        if path is None or not is_for(request, HOST):
            return Response.json({"message": "Not Found"}, 404)
        if not request.headers.get("user-agent"):
            return Response.json({"message": "Request forbidden by administrative rules. User-Agent required"}, 403)
        query = request.query
        span = _span(query.get("phrase", ""), self.emitter.now_ms())
        per_page = request.number("per_page", 30, least=1)
        if span is None or per_page is None:
            return Response.json({"message": "Validation Failed: " + ("phrase" if span is None else "per_page")}, 422)
        events = self.emitters["org" if path[1] == "orgs" else "enterprise"].between(*span)
        include = query.get("include", "web")
        if include != "all":
            events = [event for event in events if (b'"git.' in event.body) == (include == "git")]
        if query.get("order", "desc") != "asc":
            events = events[::-1]
        start = 0
        if "after" in query:
            found = None if expired else _position(query["after"], events)
            if found is None:
                return Response.json({"message": "Invalid cursor: after"}, 422)
            start = found
        page = events[start : start + min(per_page, 100)]
        links = self._links(request, page, more=start + len(page) < len(events))
        return Response(
            200, b"[" + b",".join(e.body for e in rows(page)) + b"]", [("Content-Type", "application/json"), *links]
        )

    def _links(self, request: Request, page: list[Event], *, more: bool) -> list[tuple[str, str]]:
        if not more or not page:
            return []
        following = request.again({"after": _cursor(page[-1]), "before": ""})
        return [link_header(next=f"{request.base}{following}", first=f"{request.base}{request.again({})}")]


def _span(phrase: str, now_ms: int) -> tuple[int, int] | None:
    """The span of the `created:` qualifiers, both edges inclusive; without any the last three months.

    None for a time that GitHub does not take, such as one with milliseconds.
    """
    start_ms, end_ms = now_ms - 91 * DAY_MS, now_ms
    for operator, text in _CREATED.findall(phrase):
        begin, _, end = text.partition("..")
        first, last = _covered(begin), _covered(end or begin)
        if first is None or last is None or (end and operator):
            return None
        if operator in ("", ">="):
            start_ms = first[0]
        if operator in ("", "<="):
            end_ms = last[1]
        if operator == ">":
            start_ms = first[1] + 1
        if operator == "<":
            end_ms = first[0] - 1
    return start_ms, end_ms


def _covered(text: str) -> tuple[int, int] | None:
    """First and last millisecond of the second, or of the day, that a time names."""
    ms = parse_time_ms(text) if _TIME.fullmatch(text) else None
    if ms is None:
        return None
    return ms, ms + (999 if "T" in text else DAY_MS - 1)


def _cursor(event: Event) -> str:
    return base64.b64encode(f"MS4{event.published_ms}|{event.number}".encode()).decode()


def _position(cursor: str, events: list[Event]) -> int | None:
    """The place after the event a cursor names; None for what is no cursor of ours, such as a time."""
    try:
        number = int(base64.b64decode(cursor, validate=True).decode().split("|")[1])
    except (ValueError, IndexError):
        return None
    return next((index + 1 for index, event in enumerate(events) if event.number == number), None)
