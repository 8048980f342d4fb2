"""A syslog receiver by TCP or TLS that remembers: every message, strictly read, and how it came. With faults on demand.

Framing is told by each connection's first byte, as rsyslog and syslog-ng do it: a digit begins octet counting (RFC 6587,
3.4.1), `<` a message that ends with its line feed. A message longer than `max_message_bytes` is cut to pieces that are no
messages, as rsyslog does it by default.

Faults, one per connection: `cut_before_commit` resets it without having read anything, `commit_then_cut` resets it after
everything was read and kept, `slow` reads after a pause, `endless` reads and never closes.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
import time as clock
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.faults import Fault, Faults

_MESSAGE = re.compile(
    rb"<([0-9]{1,3})>1 (-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (-|(?:\[(?:[^\"\\\]]|\"(?:[^\"\\\]]|\\.)*\")*\])+)(?: (.*))?",
    re.DOTALL,
)
_PARAM = re.compile(rb' ([!-~]+?)="((?:[^"\\\]]|\\.)*)"')
_ELEMENT = re.compile(rb"\[([^ \]]+)((?: [!-~]+?=\"(?:[^\"\\\]]|\\.)*\")*)\]")
_DRAIN_BYTES = 65_536


@dataclass(frozen=True)
class Message:
    """One message of RFC 5424. `params` are the structured data's, by element."""

    facility: int
    severity: int
    time: str
    hostname: str
    app_name: str
    procid: str
    msgid: str
    params: dict[str, dict[str, str]]
    text: bytes

    @classmethod
    def of(cls, data: bytes) -> Message:
        """Raises ValueError."""
        found = _MESSAGE.fullmatch(data)
        if found is None or int(found[1]) > 191:
            raise ValueError("no message of RFC 5424")
        params = {
            element[1].decode(): {
                name.decode(): re.sub(rb"\\([\"\\\]])", rb"\1", value).decode()
                for name, value in _PARAM.findall(element[2])
            }
            for element in _ELEMENT.finditer(found[7])
        }
        time, hostname, app_name, procid, msgid = (found[index].decode() for index in (2, 3, 4, 5, 6))
        priority = int(found[1])
        return cls(priority // 8, priority % 8, time, hostname, app_name, procid, msgid, params, found[8] or b"")


@dataclass
class _Connection:
    """What came on one connection, until it ends."""

    kept: list[Message] = field(default_factory=list)
    rest: bytes = b""


class SyslogReceiver:
    """Listens until closed. `tls` is a server context, or None for TCP. Raises FlickerError where the port is taken."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        max_message_bytes: int = 8_192,
        uid_param: str = "event_uid",
        journal: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
    ) -> None:
        self.tls = tls
        self.max_message_bytes = max_message_bytes
        self.faults = Faults(seed=seed)
        self.messages: list[Message] = []
        self.malformed: list[bytes] = []
        self.connections = 0
        #: Connections whose TLS failed, and why.
        self.refused: list[str] = []
        self._uid_param = uid_param
        self._journal = None if journal is None else journal.open("ab")
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        try:
            self._listener = socket.create_server((host, port), backlog=128)
        except OSError as error:
            raise FlickerError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from None
        self.host, self.port = host, self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"{'tls' if self.tls else 'tcp'}://{self.host}:{self.port}"

    def counts(self) -> Counter[str]:
        """How often each event came, by its id in the structured data."""
        with self._lock:
            return Counter(
                params[self._uid_param]
                for message in self.messages
                for params in message.params.values()
                if self._uid_param in params
            )

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            kept = list(self._open)
        for connection in kept:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        if self._journal is not None:
            self._journal.close()

    def reset_kept(self) -> None:
        """Reset every open connection, as a receiver does that dies; returns when it is done."""
        with self._lock:
            kept = list(self._open)
        for connection in kept:
            _end_by_reset(connection)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)  # wakes the thread that reads; a close would wait for it
        while any(connection.fileno() >= 0 for connection in kept):
            clock.sleep(0.001)

    # -- inside

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(raw, server_side=True)
            with self._lock:
                self._open.add(connection)
            self._read(connection, self.faults.take())
        except ssl.SSLError as error:
            self.refused.append(str(error))
        except OSError:
            pass  # a client that is gone
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _read(self, connection: socket.socket, fault: Fault | None) -> None:
        kind = None if fault is None else fault.kind
        if kind == "cut_before_commit":
            _wait_for_bytes(connection)
            _end_by_reset(connection)
            return
        if fault is not None and kind == "slow":
            clock.sleep(fault.seconds)
        state = _Connection()
        while data := connection.recv(_DRAIN_BYTES):
            state.rest += data
            self._take(state, at_end=False)
        self._take(state, at_end=True)
        if kind == "commit_then_cut":
            _end_by_reset(connection)
        elif kind == "endless":
            self._closed.wait()

    def _take(self, state: _Connection, *, at_end: bool) -> None:
        """Keep every whole message that has arrived."""
        frames, state.rest = _frames(state.rest, at_end=at_end)
        for frame in frames:
            for piece in [
                frame[at : at + self.max_message_bytes] for at in range(0, len(frame), self.max_message_bytes)
            ]:
                self._keep(piece)

    def _keep(self, data: bytes) -> None:
        try:
            message = Message.of(data)
        except ValueError:
            with self._lock:
                self.malformed.append(data)
            return
        with self._lock:
            self.messages.append(message)
            if self._journal is not None:
                entry = {"params": message.params, "text": message.text.decode("utf-8", "replace")}
                self._journal.write(json.dumps(entry).encode() + b"\n")
                self._journal.flush()


def _frames(data: bytes, *, at_end: bool) -> tuple[list[bytes], bytes]:
    """The whole frames at the beginning, and what is left."""
    frames: list[bytes] = []
    at = 0
    while at < len(data):
        if data[at : at + 1].isdigit():
            length, space, _ = data[at : at + 11].partition(b" ")
            start = at + len(length) + 1
            if not space or (length.isdigit() and start + int(length) > len(data)):
                break
            if not length.isdigit():
                return [*frames, data[at:]], b""  # whatever it is, it is kept as malformed
            frames.append(data[start : start + int(length)])
            at = start + int(length)
        else:
            end = data.find(b"\n", at)
            if end < 0:
                break
            frames.append(data[at:end])
            at = end + 1
    rest = data[at:]
    return ([*frames, rest], b"") if at_end and rest else (frames, rest)


def _wait_for_bytes(connection: socket.socket) -> None:
    """Until something has arrived, which stays unread."""
    raw = socket.socket(fileno=socket.dup(connection.fileno()))
    try:
        raw.settimeout(10)
        raw.recv(1, socket.MSG_PEEK)
    finally:
        raw.close()


def _end_by_reset(connection: socket.socket) -> None:
    """Let its close be a reset for the other side, whatever was read."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
