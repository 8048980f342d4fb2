"""How dialects cut a listing into pages and write them: places that stay right while rows come and go, and the very
bytes of the rows inside the vendor's document."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import parse_time_ms

#: Who asks for a port of this machine means whichever host of the vendor has the path.
_HERE = ("127.0.0.1", "localhost", "")
SECONDS_Z = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
MILLISECONDS_Z = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def is_for(request: Request, *hosts: str) -> bool:
    """Was one of these hosts asked?"""
    return request.host in hosts or request.host in _HERE


def time_in(text: str, pattern: str) -> int | None:
    """The instant (ms) of a text that is spelled in the one way the vendor takes, else None."""
    return parse_time_ms(text) if re.fullmatch(pattern, text) else None


def holds(event: Event, name: str, *texts: str) -> bool:
    """Does its row hold one of these texts under this name, at whatever depth?"""
    return any(f'"{name}":"{text}"'.encode() in event.body for text in texts)


def raw(events: list[Event]) -> list[msgspec.Raw]:
    """The rows of a page, as the bytes they are."""
    return [msgspec.Raw(event.body) for event in rows(events)]


def document(value: Any, headers: list[tuple[str, str]] | None = None) -> Response:
    """An answer that may hold raw rows."""
    return Response(200, msgspec.json.encode(value), [("Content-Type", "application/json"), *(headers or [])])


def link_header(**urls: str) -> tuple[str, str]:
    """A Link header (RFC 8288) of links by what they lead to."""
    return "Link", ", ".join(f'<{url}>; rel="{rel}"' for rel, url in urls.items())


def compact(event: dict[str, Any]) -> bytes:
    """An event as a row of the log."""
    return msgspec.json.encode(event)
