"""A gate before S3 that fails chosen requests: before S3 sees them, with an error, or after S3 has done them."""

from __future__ import annotations

import re
import socket
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flicker_dagster.simulator.server import read_exactly

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Gate:
    """Forwards to an S3 at `host:port`. `shut` names the requests that fail, by `METHOD /path`, and how."""

    def __init__(self, host: str, port: int) -> None:
        self.behind = host, port
        self._failing: re.Pattern[str] | None = None
        self._how = ""
        self.refused = 0
        self._http: ThreadingHTTPServer | None = None
        self._port = 0
        self._listen()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def shut(self, pattern: str, *, how: str) -> None:
        """`how`: `cut` hangs up, `503` or another status answers so, `done and cut` lets S3 do it and hangs up,
        `refused` takes no new connection at all, whatever the pattern."""
        self._failing, self._how, self.refused = re.compile(pattern), how, 0
        if how == "refused":
            self.close()

    def open(self) -> None:
        self._failing = None
        if self._http is None:
            self._listen()

    def close(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def _listen(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._http.daemon_threads = True
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True).start()

    def fault_of(self, request: str) -> str:
        if self._failing is None or not self._failing.search(request):
            return ""
        self.refused += 1
        return self._how


def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            body = read_exactly(self.rfile, int(self.headers.get("Content-Length", 0)))
            fault = gate.fault_of(f"{self.command} {self.path}")
            if fault.isdigit():
                self._answer(int(fault), {}, b"")
            elif fault in ("cut", "refused"):  # a connection made before is cut as well
                self._hang_up()
            else:
                status, headers, answer = self._forward(body)
                if fault:
                    self._hang_up()
                else:
                    self._answer(status, headers, answer)

        do_PUT = do_HEAD = do_DELETE = do_GET

        def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = HTTPConnection(*gate.behind, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            try:
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler
