"""LastPass's event reporting: secrets in the body, local times, and an object of numbered events in place of a list."""

from __future__ import annotations

import json
import random
import re
from datetime import timezone
from typing import Any

import msgspec

from flicker_dagster.simulator.alike import Alike
from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import document, is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import datetime_of, zone_of

HOST, PATH = "lastpass.com", "/enterpriseapi.php"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
ACTIONS = ("Failed Login Attempt", "Log in", "Site Added", "Master Password Changed")


class LastPass(Vendor):
    """Times, asked for and answered, are those of the clocks in New York, which once a year show the same hour twice. Rows
    may be equal. `next` is the time (µs) of the last row, and the next page begins with that row again. Everything is
    answered with status 200."""

    name = "lastpass"
    id_path = None
    equal_rows = True
    params = {"cid": "8771312", "provhash": "359fdfbc93bc6b8f1963c84e9db3539a5f3d688f394bd536e1ca6b77f8d5f101"}
    traits = frozenset({"late"})

    def __init__(self, *, rows_per_page: int = 10_000, **options: Any) -> None:
        self.rows_per_page = rows_per_page
        self._alike = Alike()
        super().__init__(**options)

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        def event() -> dict[str, Any]:
            return {
                "Time": _local(published_ms),
                "Username": f"{chance.choice(('ana', 'bob', 'chi', 'dee'))}@acme.test",
                "IP_Address": an_address(chance),
                "Action": chance.choice(ACTIONS),
                "Data": "",
            }

        return self._alike.row(stream, published_ms, chance, event)

    def is_authorized(self, request: Request) -> bool:
        """The credentials are in the body."""
        body = request.json()
        given = body if isinstance(body, dict) else {}
        right = (str(given.get("cid")), given.get("provhash")) == (self.params["cid"], self.params["provhash"])
        return right or request.path != PATH

    def unauthorized(self) -> Response:
        return _fail("Authorization Error")

    def answer(self, request: Request, *, expired: bool) -> Response:
        if request.path != PATH or not is_for(request, HOST):
            return Response(404)
        body = request.json()
        if request.method != "POST" or content_type(request) != "application/json" or not isinstance(body, dict):
            return _fail("expected POST of a JSON object")
        strange = body.keys() - {"cid", "provhash", "cmd", "data", "user", "apiuser"}
        data = body.get("data")
        if body.get("cmd") != "reporting" or strange or not isinstance(data, dict):
            return _fail(f"Unknown command or field {min(strange, default=body.get('cmd'))}")
        strange = data.keys() - {"from", "to", "user", "next"}
        if strange or data.get("user", body.get("user")) != "allusers":
            return _fail(f"Unknown field {min(strange)}" if strange else "expected user: allusers")
        bounds = [str(data.get(name, "")) for name in ("from", "to")]
        if not all(TIME.fullmatch(text) for text in bounds) or bounds[0] > bounds[1]:
            return _fail("Invalid date: expected from and to as YYYY-MM-DD HH:MM:SS, in this order")
        return self._page(bounds[0], bounds[1], data.get("next"))

    def _page(self, first: str, last: str, begin: Any) -> Response:
        events = [event for event in self.emitter.emitted() if first <= _local(event.published_ms) <= last]
        events.sort(key=_micros, reverse=True)
        if begin is not None:
            if not str(begin).isdecimal():
                return _fail("Invalid next")
            events = [event for event in events if _micros(event) <= int(begin)]
        page = events[: self.rows_per_page]
        following = _micros(page[-1]) if len(page) < len(events) else None
        data = {f"Event{number}": msgspec.Raw(event.body) for number, event in enumerate(page, 1)}
        return document({"status": "OK", "next": following, "data": data})


def _local(ms: int) -> str:
    moment = datetime_of(ms).replace(tzinfo=timezone.utc).astimezone(zone_of("America/New_York"))
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _micros(event: Event) -> int:
    return event.published_ms * 1000 + event.number % 1000


def _fail(error: str) -> Response:
    return Response(
        200, json.dumps({"status": "FAIL", "errors": [error]}).encode(), [("Content-Type", "application/json")]
    )
