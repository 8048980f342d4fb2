"""The HTTP server around the guard, with bounds for clients that are slow, many or endless.

uvicorn's limits begin where a request has arrived whole. A client that never ends its headers is bounded here, by a
subclass of uvicorn's protocol (h11's: it shows a request's target as it was sent, and bounds its headers).
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

#: From the connection, or the end of the answer before, until a request's headers are here whole.
HEADERS_S = 10.0
HEADERS_BYTES = 64 * 1024
KEEP_ALIVE_S = 5
#: Beyond the first number requests are answered 503, beyond the second connections are closed: files are few (1024).
CONNECTIONS, MOST_CONNECTIONS = 300, 450
SOCKET_MESSAGE_BYTES = 1024 * 1024
CLOSING_S = 5


class BoundedProtocol(H11Protocol):
    """Closes a connection on which no request is in progress and none begins within `HEADERS_S`."""

    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        upgraded = self.transport.get_protocol() is not self
        if upgraded or (self.cycle is not None and not self.cycle.response_complete):
            self._unwatch()
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_S, self._too_slow)

    def _unwatch(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _too_slow(self) -> None:
        self._headers_due = None
        self.transport.close()


def serve(app: Any, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    uvicorn.Server(config(app, host=host, port=port)).run()


def config(app: Any, *, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        http=BoundedProtocol,
        h11_max_incomplete_event_size=HEADERS_BYTES,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSING_S,
        ws_max_size=SOCKET_MESSAGE_BYTES,
        proxy_headers=False,  # nothing here depends on them, so that nobody needs to be trusted
        server_header=False,
    )
