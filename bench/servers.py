"""The vendor and the SIEM of a benchmark, each a process of its own: raw sockets and pages serialised beforehand.

Their CPU is never counted; they are only as complete as a benchmark needs.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from multiprocessing.context import SpawnProcess
from typing import Any

from isal import igzip

DAY_MS = 86_400_000
PAGE_EVENTS = 1_000

#: Of `/steady`: events a second, and for how long they come.
STEADY_EVENTS, STEADY_S = 100, 15

#: About the size and shape of an Okta event: 1 KB. `%` fields are of fixed width, so that a page is one template.
_EVENT = {
    "uuid": "%016x-0000-4000-8000-000000000000",
    "published": "@TIME@",
    "eventType": "user.session.start",
    "version": "0",
    "severity": "INFO",
    "legacyEventType": "core.user_auth.login_success",
    "displayMessage": "User login to Okta",
    "actor": {
        "id": "00u1qw1mqitPHM8AJ0g7",
        "type": "User",
        "alternateId": "admin@example.com",
        "displayName": "Ada Admin",
        "detailEntry": None,
    },
    "client": {
        "userAgent": {
            "rawUserAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
            "os": "Mac OS X",
            "browser": "CHROME",
        },
        "zone": "null",
        "device": "Computer",
        "id": None,
        "ipAddress": "203.0.113.24",
        "geographicalContext": {
            "city": "Berlin",
            "state": "Land Berlin",
            "country": "Germany",
            "postalCode": "10115",
            "geolocation": {"lat": 52.52, "lon": 13.405},
        },
    },
    "outcome": {"result": "SUCCESS", "reason": None},
    "target": [{"id": "0oa1gjh63g214q0Hq0g4", "type": "AppInstance", "alternateId": "Okta Admin Console"}],
    "transaction": {"type": "WEB", "id": "W2xAWdCHBzBpFw5B3i0gqwAAAko", "detail": {}},
    "debugContext": {"debugData": {"requestUri": "/api/v1/authn", "threatSuspected": "false"}},
    "authenticationContext": {"authenticationStep": 0, "externalSessionId": "102bZDNFfWaQSyEZQuDgWt-uQ"},
}
_HEAD, _MIDDLE, _TAIL = re.split(r"%016x|@TIME@", json.dumps(_EVENT, separators=(",", ":")))


class Listing:
    """`count` events spread evenly over the day that begins at `start_ms`, oldest first, in pages of 1,000."""

    def __init__(self, count: int, start_ms: int, *, keep: bool) -> None:
        self.count, self.start_ms = count, start_ms
        self.pages = max(1, -(-count // PAGE_EVENTS))
        self._kept = [self._rows(page) for page in range(self.pages)] if keep else None

    def rows(self, page: int) -> bytes:
        return self._rows(page) if self._kept is None else self._kept[page]

    def _rows(self, page: int) -> bytes:
        events = []
        for number in range(page * PAGE_EVENTS, min(self.count, (page + 1) * PAGE_EVENTS)):
            second, ms = divmod(self.start_ms + number * DAY_MS // self.count, 1000)
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            events.append(f"{_HEAD}{number * 0x9E3779B97F4A7C15 % 2**64:016x}{_MIDDLE}{at}.{ms:03d}Z{_TAIL}")
        return ",".join(events).encode()


def serve_vendor(ready: Any, count: int, start_ms: int, keep: bool, emitted: Any) -> None:
    """`/events` pages by a cursor in the body, `/okta` by the Link header, `/quiet` has nothing, `/busy/<name>` has 100
    new events at each poll, `/steady/<name>` what came since the last poll, `/once/<name>` what `emitted` allows."""
    listing = Listing(count, start_ms, keep=keep)
    polls: dict[bytes, int] = {}
    steady: dict[bytes, tuple[float, int]] = {}

    def answer(head: bytes, port: int) -> tuple[bytes, bytes]:
        path = head.split(b" ", 2)[1]
        found = re.search(rb"(?:cursor|after)=c(\d+)", path)
        page = int(found[1]) if found else 0
        more = page + 1 < listing.pages
        if path.startswith((b"/events", b"/okta")) and count:
            rows = listing.rows(page)
        elif path.startswith(b"/busy"):
            name = path.split(b"?")[0]
            polls[name] = polls.get(name, 0) + 1
            rows, more = _fresh(name, polls[name], 100), False
        elif path.startswith(b"/steady"):
            name = path.split(b"?")[0]
            began_s, given = steady.setdefault(name, (time.monotonic(), 0))
            due = int(min(time.monotonic() - began_s, STEADY_S) * STEADY_EVENTS)
            rows, more = _fresh(b"%s %d" % (name, given), 0, due - given) if due > given else b"", False
            steady[name] = began_s, due
        elif path.startswith(b"/one"):
            rows, more = _fresh(b"one", emitted.value, 1) if emitted.value else b"", False
        else:
            rows, more = b"", False
        if path.startswith(b"/okta"):
            link = b'Link: <http://127.0.0.1:%d/okta/api/v1/logs?after=c%d>; rel="next"\r\n' % (port, page + 1)
            return b"[" + rows + b"]", link if more else b""
        cursor = b'"c%d"' % (page + 1) if more else b"null"
        return b'{"data":[' + rows + b'],"meta":{"next_cursor":' + cursor + b"}}", b""

    def talk(connection: socket.socket) -> None:
        port = connection.getsockname()[1]
        waiting = b""
        while True:
            head, waiting = _head(connection, waiting)
            if head is None:
                return
            body, more = answer(head, port)
            date = formatdate(usegmt=True).encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %s\r\n%sContent-Length: %d\r\n\r\n"
                % (date, more, len(body))
                + body
            )

    _listen(ready, talk)


def _fresh(name: bytes, poll: int, count: int) -> bytes:
    """Events that no earlier poll had, dated now."""
    now_ms = int(time.time() * 1000) - count
    events = []
    for number in range(count):
        second, ms = divmod(now_ms + number, 1000)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        identity = hash((name, poll, number)) % 2**64
        events.append(f"{_HEAD}{identity:016x}{_MIDDLE}{at}.{ms:03d}Z{_TAIL}")
    return ",".join(events).encode()


class Tally:
    """What the SIEM has: events by its own count, and the bodies, to be looked into afterwards."""

    def __init__(self, context: Any) -> None:
        self.events = context.Value("q", 0)
        self.requests = context.Value("q", 0)
        self.last_s = context.Value("d", 0.0)


def serve_siem(ready: Any, tally: Tally, keep: bool, verdicts: Any) -> None:
    """Accepts everything. `GET /verdict` puts (events, distinct ids) of all kept bodies into `verdicts`."""
    bodies: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        waiting = b""
        while True:
            head, waiting = _head(connection, waiting)
            if head is None:
                return
            if head.startswith(b"GET"):
                verdicts.put(_ids(bodies))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
            count = int(re.search(rb"(?i)x-event-count: (\d+)", head)[1])  # type: ignore[index]
            parts = [waiting]
            size -= len(waiting)
            while size > 0:
                parts.append(connection.recv(min(size, 1 << 20)))
                size -= len(parts[-1])
            waiting = b""
            with tally.events.get_lock():
                tally.events.value += count
                tally.requests.value += 1
                tally.last_s.value = time.time()
            if keep:
                bodies.append(b"".join(parts))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    _listen(ready, talk)


def _ids(bodies: list[bytes]) -> tuple[int, int]:
    count, distinct = 0, set()
    for body in bodies:
        ids = re.findall(rb'"uuid":"([0-9a-f]{16})', igzip.decompress(body))
        count += len(ids)
        distinct.update(int(each, 16) for each in ids)
    return count, len(distinct)


def _head(connection: socket.socket, waiting: bytes) -> tuple[bytes | None, bytes]:
    while b"\r\n\r\n" not in waiting:
        try:
            data = connection.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            return None, b""
        waiting += data
    head, _, rest = waiting.partition(b"\r\n\r\n")
    return head, rest


def _listen(ready: Any, talk: Callable[[socket.socket], None]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    ready.put(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


class Servers:
    """A vendor and a SIEM, as a context manager."""

    def __init__(self, events: int = 0, *, keep_pages: bool = True, keep_bodies: bool = True) -> None:
        self.context = multiprocessing.get_context("spawn")
        #: The day before today: a window that has closed whatever the time is.
        self.start_ms = (int(time.time()) // 86_400 - 1) * DAY_MS
        self.events = events
        self.tally = Tally(self.context)
        self.emitted = self.context.Value("q", 0)
        self._options = keep_pages, keep_bodies
        self._processes: list[SpawnProcess] = []
        self._verdicts = self.context.Queue()

    def __enter__(self) -> Servers:
        ready = self.context.Queue()
        keep_pages, keep_bodies = self._options
        vendor = (ready, self.events, self.start_ms, keep_pages, self.emitted)
        self.vendor_port = self._start(serve_vendor, vendor, ready)
        self.siem_port = self._start(serve_siem, (ready, self.tally, keep_bodies, self._verdicts), ready)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def verdict(self) -> tuple[int, int]:
        """Events in the SIEM and how many distinct ones: equal if none came twice."""
        with socket.create_connection(("127.0.0.1", self.siem_port)) as connection:
            connection.sendall(b"GET /verdict HTTP/1.1\r\n\r\n")
            return self._verdicts.get()

    def _start(self, serve: Callable[..., None], arguments: tuple, ready: Any) -> int:
        process = self.context.Process(target=serve, args=arguments, daemon=True)
        process.start()
        self._processes.append(process)
        return ready.get()
