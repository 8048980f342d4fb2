"""One small HTTP server for vendors, SIEM and page: kept-alive connections, real lengths, a Date header of its clock."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.faults import Fault


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes = b""
    target: str = ""  # path and query as they came
    fault: str = ""  # kind of the fault that was planned for this request

    @property
    def host(self) -> str:
        """The server that was asked for, without its port, in lower case."""
        return self.headers.get("host", "").rsplit(":", 1)[0].lower()

    @property
    def base(self) -> str:
        """Scheme and server as the client knows them: what absolute links begin with."""
        host = self.headers.get("host", "")
        return f"{'http' if host.startswith(('127.', 'localhost')) else 'https'}://{host}"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query as it came: names may come several times."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON; None for what is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def basic(self) -> tuple[str, str] | None:
        """User name and password of the Authorization header; None where it holds none."""
        scheme, _, coded = self.headers.get("authorization", "").partition(" ")
        try:
            text = base64.b64decode(coded, validate=True).decode() if scheme.lower() == "basic" else ""
        except ValueError:
            return None
        name, colon, password = text.partition(":")
        return (name, password) if colon else None

    def unknown(self, *known: str) -> list[str]:
        """Names in the query that the API does not know."""
        return [name for name, _ in self.pairs if name not in known]

    def credentials(self, scheme: str) -> str:
        """What the Authorization header holds behind this scheme; "" where it is of another one."""
        found, _, credentials = self.headers.get("authorization", "").partition(" ")
        return credentials if found == scheme else ""

    def bearer(self) -> str:
        """The last word of the Authorization header: the token, whatever the scheme is called."""
        return self.headers.get("authorization", "").split(" ")[-1]

    def number(self, name: str, default: int, *, least: int | None = None, most: int | None = None) -> int | None:
        """A query parameter as a whole number within these bounds; None for what is none."""
        text = self.query.get(name, str(default))
        number = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
        if number is None or (least is not None and number < least) or (most is not None and number > most):
            return None
        return number

    def again(self, changed: Mapping[str, object]) -> str:
        """Path and query of the same request with some parameters changed or added."""
        kept = [(name, str(changed.get(name, value))) for name, value in self.pairs]
        added = [(name, str(value)) for name, value in changed.items() if name not in self.query]
        return f"{self.path}?{urlencode(kept + added)}"


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    fault: Fault | None = None  # a fault of the transport, carried out by the server

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
        return cls(status, json.dumps(value).encode(), [("Content-Type", "application/json"), *(headers or [])])


Handle = Callable[[Request], Response]

#: How soon a server that is closed notices: tests close hundreds.
LOOK_S = 0.02


class Server:
    """Serves a handler on a port of its own in threads, until closed. Raises FlickerError where the port cannot be had."""

    def __init__(
        self, handle: Handle, *, host: str = "127.0.0.1", port: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        try:
            self._http = _Http((host, port), _handler(handle, clock))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise FlickerError(f"cannot serve on {host}:{port}: {why}; choose another port") from None
        self.host, self.port = host, self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        self._thread.join(5)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def hang_up(self) -> None:
        """Close connections that clients keep alive: a stopped server must not go on answering."""
        with self._guard:
            kept = list(self._open)
        for connection in kept:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def read_exactly(stream: BufferedIOBase, size: int) -> bytes:
    """The next `size` bytes. Raises ConnectionAbortedError where the client hung up before: a process that dies between a
    request's head and its end has sent no request, and a server that took the beginning for all would file its key under
    bytes that nobody sent."""
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionAbortedError(f"the client hung up after {len(data)} of a body's {size} bytes")
    return data


def _handler(handle: Handle, clock: Callable[[], float]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "simulator", ""

        def do_GET(self) -> None:
            self._serve()

        def do_HEAD(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_PUT(self) -> None:
            self._serve()

        def do_DELETE(self) -> None:
            self._serve()

        def log_message(self, *_: Any) -> None:
            """Quiet: the simulator's own pages tell what happened."""

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(clock() if timestamp is None else timestamp, usegmt=True)

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self._body(),
                self.path,
            )
            response = handle(request)
            fault = response.fault.kind if response.fault else None
            if fault in ("commit_then_cut", "cut_before_commit"):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if fault == "slow" and response.fault is not None:
                time.sleep(response.fault.seconds)
            self.send_response(response.status)
            for name, value in response.headers:
                self.send_header(name, value)
            if fault == "endless":
                self._never_end()
                return
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault == "cut":
                self.wfile.write(response.body[: len(response.body) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(response.body)

        def _never_end(self) -> None:
            """Until the client has enough of it."""
            self.close_connection = True
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b" " * 4096)
                    time.sleep(0.01)

        def _body(self) -> bytes:
            """Raises ConnectionAbortedError where the client hung up before the end."""
            length = self.headers.get("Content-Length")
            if length is not None:
                return read_exactly(self.rfile, int(length))
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return b""
            chunks = []
            while size := int(self._line().split(b";")[0], 16):
                chunks.append(read_exactly(self.rfile, size))
                self._line()
            self._line()
            return b"".join(chunks)

        def _line(self) -> bytes:
            line = self.rfile.readline()
            if not line.endswith(b"\n"):
                raise ConnectionAbortedError("the client hung up within a request's body")
            return line

    return Handler
