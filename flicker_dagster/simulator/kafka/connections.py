"""The broker's sockets: one thread per connection, requests answered in their order, until closed."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, Protocol

LARGEST_REQUEST = 100 * 1024 * 1024


class HangUp(Exception):
    """The connection is closed without a word."""


class Answers(Protocol):
    """What one connection says to a request: the answer's bytes, or None for none at all. May raise HangUp."""

    def __call__(self, request: bytes) -> bytes | None: ...


class Listener:
    """Listens on a port of its own. `connected` makes what answers one connection."""

    def __init__(
        self, connected: Callable[[], Answers], *, host: str, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self.refuses = False
        listener = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                listener._serve(self.request, connected, tls)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is no news."""

        self._server = Server((host, port), Handler)
        self.host, self.port = host, self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Close every connection that is open."""
        with self._guard:
            kept = list(self._open)
        for connection in kept:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()
        self._thread.join(5)

    def _serve(self, raw: socket.socket, connected: Callable[[], Answers], tls: ssl.SSLContext | None) -> None:
        if self.refuses:
            return
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._guard:
            self._open.add(raw)
        try:
            sock = raw if tls is None else tls.wrap_socket(raw, server_side=True)
            if sock is not raw:
                with self._guard:
                    self._open.add(sock)
            self._converse(sock, connected())
        except (OSError, HangUp):
            return
        finally:
            with self._guard:
                self._open = {each for each in self._open if each.fileno() >= 0 and each is not raw}
            with contextlib.suppress(OSError):
                raw.close()

    def _converse(self, sock: socket.socket, answers: Answers) -> None:
        with sock:
            while True:
                (size,) = struct.unpack(">i", _read(sock, 4))
                if not 0 < size <= LARGEST_REQUEST:
                    return
                answer = answers(_read(sock, size))
                if answer is not None:
                    sock.sendall(struct.pack(">i", len(answer)) + answer)


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise HangUp
        data += piece
    return bytes(data)
