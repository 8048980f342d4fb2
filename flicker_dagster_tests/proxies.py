"""A forward proxy in a thread: plain requests are answered by itself, CONNECT is tunnelled; all are written down."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Every variable that tells requests of a proxy or of certificates.
VARIABLES = [
    *(spelt for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for spelt in (name, name.upper())),
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
]


class Proxy:
    """`seen` holds what was asked for: a URL of a plain request, `host:port` of a tunnel; `credentials` who asked."""

    def __init__(self, answer: bytes = b"[]", *, tunnel_to: int | None = None) -> None:
        self.seen: list[str] = []
        self.credentials: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._note, answer, tunnel_to))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _note(self, asked_for: str, credentials: str | None) -> None:
        self.seen.append(asked_for)
        self.credentials.append(credentials)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(
    note: Callable[[str, str | None], None], answer: bytes, tunnel_to: int | None
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            note(self.path, self.headers.get("Proxy-Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_CONNECT(self) -> None:
            note(self.path, self.headers.get("Proxy-Authorization"))
            with socket.create_connection(("127.0.0.1", tunnel_to or 0)) as vendor:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pump, args=(vendor, self.connection), daemon=True)
                back.start()
                _pump(self.connection, vendor)
                back.join()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
