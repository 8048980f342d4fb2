"""What a simulated vendor tells of itself, and takes from a test, below `/_sim/`: no part of any vendor's API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.server import Request, Response

if TYPE_CHECKING:
    from flicker_dagster.simulator.vendor import Vendor


def own_page(vendor: Vendor, request: Request) -> Response:
    """One of these pages; 400 with the list of all for what is none, or cannot be done."""
    try:
        return _PAGES[request.path](vendor, request)
    except (KeyError, ValueError, TypeError, FlickerError) as error:
        return Response.json({"error": str(error), "pages": sorted(_PAGES)}, 400)


def _emitted(vendor: Vendor, request: Request) -> Response:
    """`?since=` an event time in ms, `?stream=` one of several streams."""
    since_ms = int(request.query.get("since", 0))
    wanted = request.query.get("stream")
    listed = [
        {"id": event.id, "published_ms": event.published_ms, "visible_ms": event.visible_ms}
        | ({"stream": stream} if stream else {})
        for stream, emitter in vendor.emitters.items()
        if wanted in (None, stream)
        for event in emitter.emitted()
        if event.published_ms >= since_ms
    ]
    return Response.json(listed)


def _stats(vendor: Vendor, _request: Request) -> Response:
    emitted = sum(len(emitter.emitted()) for emitter in vendor.emitters.values())
    return Response.json({"vendor": vendor.name, "emitted": emitted, "requests": vendor.requests})


def _faults(vendor: Vendor, request: Request) -> Response:
    if request.method == "POST":
        for fault in _list(json.loads(request.body)):
            vendor.faults.plan(**fault)
    else:
        vendor.faults.clear()
    return Response.json({"ok": True})


def _emit(vendor: Vendor, request: Request) -> Response:
    """`{"count": 3}`, with `stream` into another one than the first."""
    wanted = json.loads(request.body or b'{"count": 1}')
    events = vendor.emitters[wanted.pop("stream", vendor.streams[0])].emit(**wanted)
    return Response.json({"ids": [event.id for event in events]})


def _rate(vendor: Vendor, request: Request) -> Response:
    vendor.set_rate(float(json.loads(request.body)["rate"]))
    return Response.json({"ok": True})


_PAGES: dict[str, Callable[[Vendor, Request], Response]] = {
    "/_sim/emitted": _emitted,
    "/_sim/stats": _stats,
    "/_sim/faults": _faults,
    "/_sim/emit": _emit,
    "/_sim/rate": _rate,
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
