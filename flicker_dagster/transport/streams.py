"""One-way connections by TCP or TLS, for protocols without answers: how much can be known of what arrived.

Three kinds of evidence, each stronger than the one before: our system took the bytes (nothing), the peer's system
acknowledged all of them (`acknowledged`), the peer's program read all of them (`finish`). The last one rests on two rules
of TCP: a program that closes a connection before it has read everything sends a reset, and bytes that come to a closed
connection are never acknowledged. So a peer that ended in order, with everything acknowledged and no reset, has read it.
"""

from __future__ import annotations

import fcntl
import math
import re
import select
import socket
import ssl
import struct
import termios
import time

import msgspec

from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Why
from flicker_dagster.transport.stream_tls import RECORD_BYTES, TlsInMemory, is_about_certificates
from flicker_dagster.transport.timed_sockets import TimedSocket, ends_by

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{1,5}))?/?")
_LOOK_S = 0.002
_LAST_LOOK_S = 0.05
KEEPALIVE_S = 30
#: What a peer says on a one-way connection is kept this far, to tell what it may be.
HEARD_BYTES = 64


class StreamAddress(msgspec.Struct, frozen=True):
    """`tcp://host:port` or `tls://host:port`; IPv6 in brackets."""

    secure: bool
    host: str
    port: int

    @classmethod
    def of(cls, text: str, *, tcp_port: int, tls_port: int) -> StreamAddress:
        """Raises ValueError in words that do not hold the text."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError("the endpoint is no address, expected tls://host:port or tcp://host:port")
        secure = found[1] == "tls"
        port = int(found[3]) if found[3] else tls_port if secure else tcp_port
        if not 0 < port < 65_536:
            raise ValueError(f"the endpoint's port is {port}, expected 1 to 65535")
        return cls(secure, found[2].strip("[]"), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.secure else 'tcp'}://{host}:{self.port}"


class StreamFailed(Exception):
    """What went wrong. `why` is NOT_SENT before anything could arrive, UNTRUSTED where somebody has to mend certificates or
    the address, else UNANSWERED. `in_order`: the peer closed the connection, having read what came."""

    def __init__(self, why: Why, words: str, *, in_order: bool = False) -> None:
        super().__init__(words)
        self.why = why
        self.in_order = in_order


class Stream:
    """One connection, used by one thread at a time. Every wait ends by the deadline that was last given."""

    def __init__(self, sock: TimedSocket, tls: TlsInMemory | None, deadline: Deadline) -> None:
        self._sock = sock
        self._tls = tls
        self.deadline = deadline
        self._heard = b""
        #: Bytes that were sent on this connection.

    @classmethod
    def open(
        cls, address: StreamAddress, context: ssl.SSLContext | None, *, deadline: Deadline, connect_s: float
    ) -> Stream:
        """Connect, and shake hands where there is a context. Raises StreamFailed."""
        sock = _connected(address, deadline, connect_s)
        try:
            _never_for_ever(sock, deadline)
            tls = None if context is None else TlsInMemory(context, server_name=address.host)
            stream = cls(sock, tls, deadline)
            if tls is not None:
                stream._shake_hands(tls)
            return stream
        except BaseException:
            sock.close()
            raise

    def send(self, data: bytes) -> None:
        """Give all of it to the system, as fast as the peer takes it. Raises StreamFailed."""
        view = memoryview(data)
        try:
            with ends_by(self.deadline, gap_s=self.deadline.left_s):
                for at in range(0, len(view), RECORD_BYTES):
                    piece = view[at : at + RECORD_BYTES]
                    if self._tls is None:
                        self._sock.sendall(piece)
                    else:
                        self._tls.write(piece)
                        self._sock.sendall(self._tls.to_send())
        except OSError as error:
            raise self._failed(error, "while sending") from error

    def look(self, *, wait_s: float = 0.0) -> None:
        """Wait for so long, and see whether the peer ended the connection meanwhile. Raises StreamFailed where it did."""
        until = Deadline.after(wait_s, "settle_ms").or_earlier(self.deadline)
        while True:
            if not _readable(self._sock, until.left_s):
                return
            try:
                ended = self._take()
            except OSError as error:
                raise self._failed(error, "while waiting") from error
            if ended:
                words = f"the receiver closed the connection{self._said()}"
                raise StreamFailed(Why.UNANSWERED, words, in_order=not self._unacknowledged())

    def acknowledged(self) -> None:
        """Wait until the peer's system has acknowledged every byte. Raises StreamFailed."""
        while self._unacknowledged():
            self._still_there()
            if self.deadline.left_s <= 0:
                raise StreamFailed(Why.UNANSWERED, f"the receiver did not take everything within {self.deadline.limit}")
            self.look(wait_s=_LOOK_S)
        self._still_there()

    def finish(self) -> None:
        """End our side and wait for the peer to end its own, having read everything. Raises StreamFailed."""
        try:
            with ends_by(self.deadline, gap_s=self.deadline.left_s):
                if self._tls is not None:
                    self._tls.end()
                    self._sock.sendall(self._tls.to_send())
                self._sock.shutdown(socket.SHUT_WR)
                while not self._take():
                    pass
        except TimeoutError:
            raise StreamFailed(
                Why.UNANSWERED,
                f"the receiver did not close the connection within {self.deadline.limit} after we did, so that nobody knows "
                "what it read",
            ) from None
        except OSError as error:
            raise self._failed(error, "before the receiver had read everything") from error
        self._all_acknowledged_at_the_end()

    def close(self) -> None:
        self._sock.close()

    # -- inside

    def _shake_hands(self, tls: TlsInMemory) -> None:
        try:
            with ends_by(self.deadline, gap_s=self.deadline.left_s):
                while not tls.shake_hands():
                    self._sock.sendall(tls.to_send())
                    data = self._sock.recv(RECORD_BYTES)
                    if not data:
                        raise StreamFailed(Why.NOT_SENT, "the receiver closed the connection during the TLS handshake")
                    tls.received(data)
                self._sock.sendall(tls.to_send())
        except ssl.SSLError as error:
            raise StreamFailed(Why.UNTRUSTED, f"TLS failed: {error}; check the endpoint and tls") from None
        except TimeoutError:
            raise StreamFailed(
                Why.NOT_SENT,
                f"no TLS handshake within {self.deadline.limit}; is it TLS that the receiver speaks there?",
            ) from None
        except OSError as error:
            raise StreamFailed(Why.NOT_SENT, f"the TLS handshake broke off: {error}") from None

    def _take(self) -> bool:
        """Take what has arrived. Did the peer end? Raises StreamFailed for what it said, OSError and SSLError."""
        data = self._sock.recv(RECORD_BYTES)
        if self._tls is None:
            self._hear(data)
            return not data
        self._tls.received(data)
        try:
            while said := self._tls.read():
                self._hear(said)
        except ssl.SSLEOFError:
            return True  # it ended without a last word of TLS, as many do; TCP tells whether in order
        return said == b"" and not data

    def _hear(self, data: bytes) -> None:
        self._heard = (self._heard + data)[:HEARD_BYTES]
        if self._tls is None and self._heard[:2] == b"\x15\x03":
            raise StreamFailed(Why.UNTRUSTED, "the receiver answers in TLS; expected an endpoint of tls://")
        if self._heard.startswith(b"HTTP/"):
            raise StreamFailed(Why.UNTRUSTED, "the receiver answers in HTTP; expected a port that takes syslog")

    def _said(self) -> str:
        """Not what it said: it may be what we sent."""
        return ", after it sent something, which receivers of one-way protocols do not" if self._heard else ""

    def _failed(self, error: OSError, when: str) -> StreamFailed:
        if isinstance(error, TimeoutError):
            return StreamFailed(Why.UNANSWERED, f"the receiver took no more bytes within {self.deadline.limit}")
        if isinstance(error, ssl.SSLError):
            return self._tls_failed(error, when)
        told = self._last_words(when)
        if told is not None and told.why is Why.UNTRUSTED:
            return told
        return StreamFailed(Why.UNANSWERED, f"the connection broke {when}: {error}{self._said()}")

    def _last_words(self, when: str) -> StreamFailed | None:
        """What the peer said before its reset: an alert tells more than that."""
        try:
            with ends_by(Deadline.after(_LAST_LOOK_S, "a last look"), gap_s=_LAST_LOOK_S):
                while not self._take():
                    pass
        except StreamFailed as told:
            return told
        except ssl.SSLError as alert:
            return self._tls_failed(alert, when)
        except OSError:
            pass
        return None

    def _tls_failed(self, error: ssl.SSLError, when: str) -> StreamFailed:
        if is_about_certificates(error):
            return StreamFailed(Why.UNTRUSTED, f"TLS failed {when}: {error}; check tls.cert_path and tls.key_path")
        return StreamFailed(Why.UNANSWERED, f"TLS failed {when}: {error}")

    def _all_acknowledged_at_the_end(self) -> None:
        """The peer ended: unless that crossed what we sent, all of it is acknowledged, or will be within moments."""
        while self._unacknowledged():
            self._still_there()
            if self.deadline.left_s <= 0:
                raise StreamFailed(Why.UNANSWERED, f"the receiver did not take everything within {self.deadline.limit}")
            time.sleep(_LOOK_S)
        self._still_there()

    def _still_there(self) -> None:
        """Raises StreamFailed after a reset."""
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise self._failed(OSError(number, "the receiver reset it"), "before the receiver had read everything")

    def _unacknowledged(self) -> int:
        """Bytes that the peer's system has not acknowledged; 0 where our system does not tell."""
        count = bytearray(4)
        try:
            fcntl.ioctl(self._sock, termios.TIOCOUTQ, count)
        except OSError:
            return 0
        return struct.unpack("i", count)[0]


def _readable(sock: socket.socket, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(max(0, math.ceil(wait_s * 1000))))


def _connected(address: StreamAddress, deadline: Deadline, connect_s: float) -> TimedSocket:
    """Raises StreamFailed."""
    where = f"{address.host}:{address.port}"
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StreamFailed(
            Why.NOT_SENT, f"cannot connect to {where}: {error}: the host's name is not known to DNS; check the address"
        ) from None
    wait = Deadline.after(connect_s, f"the connection's {connect_s:g} s").or_earlier(deadline)
    refused: OSError | None = None
    for family, kind, protocol, _, at in found:
        sock = TimedSocket(family, kind, protocol)
        try:
            with ends_by(wait, gap_s=connect_s):
                sock.connect(at)
            return sock
        except OSError as error:
            sock.close()
            refused = error
    raise StreamFailed(
        Why.NOT_SENT,
        f"cannot connect to {where}: {refused}; check the address, that something listens there, and firewalls",
    )


def _never_for_ever(sock: TimedSocket, deadline: Deadline) -> None:
    """A peer that is gone without a word is noticed by the system: while it owes acknowledgements, and while idle."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_S // 3),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", max(1, int(deadline.left_s * 1000))),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
