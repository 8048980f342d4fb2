"""The network between a machine, its vendors and the SIEM: every exchange may be lost on its way there or back.

`SimConnections` takes the place of the product's own, so that its clients, and urllib3's answers, are the real ones.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import urllib3

from flicker_dagster.simulator.server import Request, Response

#: What may happen to an exchange besides what its server answers.
LOST = "lost"  # the request never arrives
UNANSWERED = "unanswered"  # it arrives, its answer does not
DOUBLED = "doubled"  # it arrives twice: something in between sent it again


class Route(NamedTuple):
    """A server at a host. `answer` is its side of the exchange, `fault` says what the network does with the next one, and
    `unheard` is told where the answer did not come back."""

    answer: Callable[[Request], Response]
    fault: Callable[[], str | None]
    unheard: Callable[[], None]


class Network:
    """Hosts by name, seen from one machine. `io` is told of each request and of each answer, and may kill the machine."""

    def __init__(self, routes: Mapping[str, Route], io: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._routes = routes
        self._io = io
        self._clock = clock

    def exchange(self, request: Request, host: str) -> Response:
        route = self._routes[host]
        self._io(f"{request.method} {host}{request.path}")
        fault = route.fault()
        if fault == LOST:
            raise urllib3.exceptions.ProtocolError("simulated: the connection was reset before the request arrived")
        if fault == DOUBLED:
            route.answer(request)
            route.unheard()
        response = route.answer(request)
        if fault == UNANSWERED:
            route.unheard()
            raise urllib3.exceptions.ProtocolError("simulated: the connection was reset before the answer came")
        self._io(f"{response.status} from {host}")
        return response


class SimConnections:
    """`flicker_dagster.transport.connections.Connections` over a simulated network."""

    def __init__(self, network: Network, url: str, **_: Any) -> None:
        self._network = network
        self._host = urlsplit(url).netloc

    @contextmanager
    def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, **_: Any
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        parts = urlsplit(url)
        request = Request(
            method=method,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            body=body or b"",
        )
        response = self._network.exchange(request, self._host)
        shown = urllib3.HTTPHeaderDict(response.headers)
        shown["Content-Length"] = str(len(response.body))
        if "Date" not in shown:
            shown["Date"] = formatdate(self._network._clock(), usegmt=True)
        yield urllib3.HTTPResponse(
            body=io.BytesIO(response.body), headers=shown, status=response.status, preload_content=False
        )

    def close(self) -> None:
        return
