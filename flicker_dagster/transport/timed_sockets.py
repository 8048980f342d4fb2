"""Connections on which every wait ends: after so long without a byte, and at the deadline of the exchange whatever comes.

A time-out of a socket counts from byte to byte, so a server that sends one now and then holds its reader for ever. Here
each wait is given the smaller of the time-out and what remains until the deadline: over connection, TLS, a proxy's
tunnel, request, interim answers, header and body together. It takes no thread and no signal. Only looking up a name is
not bounded by it: the system's resolver has time-outs of its own.
"""

from __future__ import annotations

import email.parser
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from flicker_dagster.transport.deadlines import Deadline

#: A whole header with the interim answers before it.
MAX_HEADER_BYTES = 256 * 1024

#: Its lines: bytes of one, and how many (http.client's limits).
MAX_LINE_BYTES = 65_536
MAX_HEADERS = 100

#: Lines of a request's header that a connection keeps: those of its first requests, most of which never change.
MOST_KNOWN_LINES = 32


class _Exchange(threading.local):
    deadline: Deadline | None = None
    gap_s: float | None = None


_exchange = _Exchange()


@contextmanager
def ends_by(deadline: Deadline, *, gap_s: float) -> Iterator[None]:
    """What this thread does meanwhile on the sockets of this module ends by then, and `gap_s` after the last byte, in a
    TimeoutError."""
    before = _exchange.deadline, _exchange.gap_s
    _exchange.deadline, _exchange.gap_s = deadline, gap_s
    try:
        yield
    finally:
        _exchange.deadline, _exchange.gap_s = before


# -- sockets


class _Timed:
    """Beside a socket's own class: before each wait its time-out becomes what it may still take."""

    _gap_s: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._gap_s = value
        super().settimeout(value)  # type: ignore[misc]

    def gettimeout(self) -> float | None:
        """What the next wait may take: TLS asks for it before its handshake."""
        self._allow()
        return super().gettimeout()  # type: ignore[misc]

    def _allow(self) -> None:
        deadline = _exchange.deadline
        if deadline is None:
            return
        left_s = deadline.left_s
        if left_s <= 0:
            raise TimeoutError("timed out")
        super().settimeout(left_s if self._gap_s is None else min(left_s, self._gap_s))  # type: ignore[misc]

    def connect(self, address: Any) -> None:
        self._allow()
        super().connect(address)  # type: ignore[misc]

    def recv(self, *arguments: Any) -> bytes:
        self._allow()
        return super().recv(*arguments)  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> int:
        self._allow()
        return super().recv_into(*arguments)  # type: ignore[misc]

    def send(self, *arguments: Any) -> int:
        self._allow()
        return super().send(*arguments)  # type: ignore[misc]

    def sendall(self, data: Any, *flags: int) -> None:
        """Piece by piece: what a slow reader takes counts as progress, and the deadline still holds."""
        view = memoryview(data).cast("B")
        at = 0
        while at < len(view):
            at += self.send(view[at:], *flags)


class TimedSocket(_Timed, socket.socket):
    """TCP."""


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """TLS, as a context makes it whose `sslsocket_class` this is."""


def tls_context(*, cert_reqs: str | int | None = "CERT_REQUIRED", minimum: int | None = None) -> ssl.SSLContext:
    """urllib3's context, whose sockets keep to the deadline."""
    context = create_urllib3_context(cert_reqs=resolve_cert_reqs(cert_reqs), ssl_minimum_version=minimum)
    context.sslsocket_class = TimedTlsSocket
    return context


# -- answers


class _CountedHeader:
    """The lines of a header, up to MAX_HEADER_BYTES."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._left = MAX_HEADER_BYTES

    def readline(self, limit: int) -> bytes:
        line = self.raw.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise http.client.HTTPException(f"the answer's header is larger than {MAX_HEADER_BYTES >> 10} KB")
        return line

    def close(self) -> None:
        self.raw.close()


#: A header line of the usual form (RFC 9112, 5: no space before the colon, no folding).
_PLAIN = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00\x0b\x0c\x1c-\x1e\x85]*)\r?\n")


_LENGTH = re.compile("[0-9]{1,18}")

#: The line before a chunk (RFC 9112, 7.1), with the blanks that some servers pad it with.
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


def _headers_of(fp: Any) -> http.client.HTTPMessage:
    """The header up to the empty line. Raises http.client.HTTPException for one of too many or too long lines.

    The parser of e-mails that http.client uses takes as long as all else of an exchange; it is left the unusual ones.
    """
    lines: list[bytes] = []
    while (line := fp.readline(MAX_LINE_BYTES + 1)) not in (b"\r\n", b"\n", b""):
        if len(line) > MAX_LINE_BYTES:
            raise http.client.LineTooLong("header line")
        lines.append(line)
        if len(lines) > MAX_HEADERS:
            raise http.client.HTTPException(f"got more than {MAX_HEADERS} headers")
    found = [_PLAIN.fullmatch(line) for line in lines]
    if None in found:
        text = b"".join([*lines, b"\r\n"]).decode("iso-8859-1")
        return email.parser.Parser(_class=http.client.HTTPMessage).parsestr(text)
    message = http.client.HTTPMessage()
    for name, value in (each.groups() for each in found if each is not None):
        message.set_raw(name.decode(), value.decode("iso-8859-1"))
    return message


class _Answer(http.client.HTTPResponse):
    """An answer whose interim ones (1xx) are passed over, all of them: http.client does so with 100 only, takes 103 for the
    answer itself, and would take the answer for that of the next request."""

    def begin(self) -> None:
        if self.headers is not None:
            return
        counted = _CountedHeader(self.fp)
        self.fp = counted  # type: ignore[assignment]
        try:
            version, status, reason = self._read_status()
            self.headers = self.msg = _headers_of(counted)
        finally:
            if self.fp is counted:
                self.fp = counted.raw
        if not version.startswith("HTTP/1.") and version != "HTTP/0.9":
            raise http.client.UnknownProtocol(version)
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        self._find_end()

    def _find_end(self) -> None:
        """Where the body ends (RFC 9112, 6.3), and whether the connection does as well."""
        headers = self.headers
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.will_close = self._check_close()  # type: ignore[attr-defined]
        length = "" if self.chunked else headers.get("content-length", "")
        self.length = int(length) if _LENGTH.fullmatch(length) else None  # any other is refused in reading
        if self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED) or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        if not self.chunked and self.length is None:
            self.will_close = True

    def _read_next_chunk_size(self) -> int:
        """http.client takes whatever Python's `int` does: with -1 it reads until the connection ends, all at once."""
        line = self.fp.readline(MAX_LINE_BYTES + 1)
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            self._close_conn()  # type: ignore[attr-defined]
            raise ValueError("the line before a chunk is no size")  # http.client takes it for a body that is cut off
        return int(found[1], 16)

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            try:
                version, status, reason = super()._read_status()  # type: ignore[misc]
            except http.client.RemoteDisconnected:
                raise
            except http.client.BadStatusLine:  # its words are what came instead, which may be anything
                raise http.client.HTTPException("the answer does not begin as one of HTTP does") from None
            if status >= 200:
                return version, status, reason
            if status == http.client.SWITCHING_PROTOCOLS:
                raise http.client.HTTPException("the server switched to another protocol unasked (HTTP 101)")
            while self.fp.readline(65_537) not in (b"\r\n", b"\n", b""):
                pass


# -- connections, as pools of urllib3 make them


class _Connecting:
    """Before a connection's own class: its sockets keep to the deadline, and all addresses of a name share one time-out."""

    response_class = _Answer

    def _new_conn(self: Any) -> socket.socket:
        if hasattr(self, "_socks_options"):
            return TimedSocket(fileno=super()._new_conn().detach())  # type: ignore[misc]
        host = self._dns_host.strip("[]")
        wait = Deadline.after(self.timeout, "connect_timeout_ms")
        try:
            host.encode("idna")
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise LocationParseError(f"{host!r}, label empty or too long") from None
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        refused: OSError | None = None
        for family, kind, protocol, _, address in found:
            sock = TimedSocket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(max(0.001, wait.left_s))
                sock.connect(address)
                return sock
            except OSError as error:
                sock.close()
                refused = error
        if isinstance(refused, TimeoutError):
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from refused
        raise NewConnectionError(self, f"Failed to establish a new connection: {refused}") from refused

    def connect(self: Any) -> None:
        if isinstance(self, HTTPSConnection) and self.ssl_context is None:
            self.ssl_context = tls_context(cert_reqs=self.cert_reqs, minimum=self.ssl_minimum_version)
        super().connect()  # type: ignore[misc]

    def request(self: Any, *arguments: Any, **options: Any) -> None:
        if self.is_closed:
            self.connect()
        self.timeout = _exchange.gap_s or self.timeout  # urllib3 would send for as long as connecting may take
        super().request(*arguments, **options)  # type: ignore[misc]

    def putheader(self: Any, header: str, *values: str) -> None:
        """Most headers are the same in every request: a connection checks and writes their lines once."""
        known: dict[tuple, bytes] = self.__dict__.setdefault("_known_lines", {})
        line = known.get((header, values))
        if line is not None:
            self._output(line)
            return
        before = len(self._buffer)
        super().putheader(header, *values)  # type: ignore[misc]
        if len(known) < MOST_KNOWN_LINES and len(self._buffer) == before + 1:
            known[header, values] = self._buffer[-1]


@lru_cache
def _timed(pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
    connection = type(f"Timed{pool.ConnectionCls.__name__}", (_Connecting, pool.ConnectionCls), {})
    return type(f"Timed{pool.__name__}", (pool,), {"ConnectionCls": connection})


def keep_time(manager: urllib3.PoolManager) -> None:
    """Let a manager that has opened nothing yet open connections of this module."""
    manager.pool_classes_by_scheme = {scheme: _timed(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}
