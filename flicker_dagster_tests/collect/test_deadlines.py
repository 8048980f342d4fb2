"""Every exchange ends by its deadline, whatever the other side sends and however slowly."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import Limits
from flicker_dagster.config.records import Tls
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.http import Http
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered
from flicker_dagster.errors import RateLimited, VendorUnavailable
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Request
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.raw_server import RawServer
from flicker_dagster_tests.deliver.contract import lot_of
from flicker_dagster_tests.proxies import VARIABLES
from flicker_dagster_tests.tls import Authority

TOTAL_MS = 300
HEAD = b"HTTP/1.1 200 OK\r\n"

Script = tuple[bytes, Iterator[bytes]]

#: What a server may do to be slow for ever: its first bytes, and what follows piece by piece.
SLOW: dict[str, Callable[[], Script]] = {
    "a status line": lambda: (b"HTTP/1.1 2", repeat(b"0")),
    "a header": lambda: (HEAD + b"X: ", repeat(b"x")),
    "header after header": lambda: (HEAD, repeat(b"X: y\r\n")),
    "100 Continue": lambda: (b"", repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "103 Early Hints": lambda: (b"", repeat(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")),
    "a body": lambda: (HEAD + b"Content-Length: 100000\r\n\r\n", repeat(b" ")),
    "a body without length": lambda: (HEAD + b"\r\n", repeat(b" ")),
    "chunks": lambda: (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", repeat(b"1\r\n \r\n")),
    "a chunk's extension": lambda: (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", repeat(b"x")),
    "trailers": lambda: (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n", repeat(b"X: y\r\n")),
    "a refusal": lambda: (b"HTTP/1.1 401 No\r\nContent-Length: 60000\r\n\r\n", repeat(b"x")),
    "nothing": lambda: (b"", iter(())),
}


@pytest.fixture(params=SLOW)
def slow(request: pytest.FixtureRequest) -> Iterator[RawServer]:
    def script(connection: socket.socket) -> None:
        server.trickle(connection, *SLOW[request.param]())
        server.wait()

    server = RawServer(script)
    yield server
    server.close()


def client_of(**limits: Any) -> VendorClient:
    limits = {"read_timeout_ms": 5_000, "total_timeout_ms": TOTAL_MS} | limits
    return VendorClient(a_source(limits=Limits(**limits)), env={})


def siem_at(url: str, **destination: Any) -> Http:
    return Http(HttpDestination(type="http", endpoint=url, **destination), LaneContext(stream="test-source", env={}))


def took_s(action: Callable[[], object]) -> float:
    began_s = time.monotonic()
    action()
    return time.monotonic() - began_s


def test_a_vendor_that_trickles_ends_at_the_total(slow: RawServer) -> None:
    def get() -> None:
        with closing(client_of()) as client, pytest.raises(VendorUnavailable, match="total_timeout_ms"):
            client.ask(Request("GET", slow.url))

    assert TOTAL_MS / 1000 <= took_s(get) < 2


#: What is slow in these comes after the status of the SIEM's answer, which tells what became of the events.
ANSWERED = {
    "a body": Delivered,
    "a body without length": Delivered,
    "chunks": Delivered,
    "a chunk's extension": Delivered,
    "trailers": Delivered,
    "a refusal": Blocked,
}


def test_a_siem_that_trickles_ends_at_its_time_out(slow: RawServer, request: pytest.FixtureRequest) -> None:
    def send() -> None:
        with closing(siem_at(slow.url, timeout_ms=TOTAL_MS)) as siem:
            outcome = siem.send(lot_of([b"1"]))
        assert isinstance(outcome, ANSWERED.get(request.node.callspec.params["slow"], Ambiguous))
        if isinstance(outcome, Ambiguous):
            assert "destination.timeout_ms (0.3 s)" in outcome.why

    assert took_s(send) < 2


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 1000\r\n\r\ncut",
        b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw",
        b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nraw",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\n",
    ],
    ids=["cut off", "no chunk", "not packed", "packed otherwise", "two lengths", "another transfer"],
)
def test_a_siem_that_says_200_has_taken_the_events_whatever_becomes_of_its_answer(rest: bytes) -> None:
    """Sent again it would be there twice, with every poll once more."""
    server = RawServer(lambda connection: connection.sendall(HEAD + rest))
    with closing(server), closing(siem_at(server.url)) as siem:
        assert siem.send(lot_of([b"1"])) == Delivered("HTTP 200 OK")


def test_a_siem_that_does_not_read_what_it_is_sent_ends_at_the_time_out() -> None:
    server = RawServer(lambda _connection: server.wait(), reads_request=False)
    with closing(server), closing(siem_at(server.url, timeout_ms=TOTAL_MS)) as siem:
        large = lot_of([b'"%b"' % (b"x" * (32 << 20))])
        assert took_s(lambda: siem.send(large)) < 4


def test_a_siem_whose_answer_never_ends_has_taken_the_events_once_its_begin_tells() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        for _ in range(64):
            connection.sendall(bytes(1 << 20))

    with closing(RawServer(endless)) as server, closing(siem_at(server.url, timeout_ms=5_000)) as siem:
        assert isinstance(siem.send(lot_of([b"1"])), Delivered)


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_answers_are_passed_over(status: bytes) -> None:
    interim = b"HTTP/1.1 " + status + b"\r\nLink: </style.css>; rel=preload\r\n\r\n"
    answers = iter([b'["first"]', b'["second"]'])

    def script(connection: socket.socket) -> None:
        for body in answers:
            connection.sendall(interim * 3 + HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.recv(65_536)  # the next request, on the same connection

    with closing(RawServer(script)) as server, closing(client_of(total_timeout_ms=5_000)) as client:
        assert client.ask(Request("GET", server.url)).body == b'["first"]'
        assert client.ask(Request("GET", server.url)).body == b'["second"]'
        assert len(server.heads) == 1


def test_a_header_without_end_is_refused_before_its_time_is_over() -> None:
    def script(connection: socket.socket) -> None:
        for _ in range(10_000):
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nX: " + bytes(b"x" * 1000) + b"\r\n\r\n")

    server = RawServer(script)
    with (
        closing(server),
        closing(client_of(total_timeout_ms=20_000)) as client,
        pytest.raises(VendorUnavailable) as told,
    ):
        client.ask(Request("GET", server.url))
    assert "header is larger than 256 KB" in str(told.value)


def test_redirects_share_one_deadline() -> None:
    def script(connection: socket.socket) -> None:
        time.sleep(0.2)  # each of them is quick enough by itself
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with closing(RawServer(script)) as server, closing(client_of()) as client:
        with pytest.raises(VendorUnavailable, match="total_timeout_ms"):
            client.ask(Request("GET", server.url))
        assert len(server.heads) <= 2


def test_a_run_s_deadline_ends_an_exchange_earlier_and_is_named() -> None:
    server = RawServer(lambda connection: server.trickle(connection, HEAD, repeat(b"X: y\r\n")))
    with closing(server), closing(client_of(total_timeout_ms=60_000)) as client:
        client.deadline = Deadline.after(0.2, "limits.run_seconds (5)")
        with pytest.raises(VendorUnavailable, match=r"not complete within limits\.run_seconds \(5\)"):
            client.ask(Request("GET", server.url))


def test_a_quota_is_not_waited_for_past_the_run_s_deadline() -> None:
    with closing(client_of()) as client:
        client._quota._not_before_s = time.time() + 30
        client.deadline = Deadline.after(1, "limits.run_seconds (1)")
        with pytest.raises(RateLimited):
            client.ask(Request("GET", "http://127.0.0.1:1/"))


# -- TLS and proxies


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_tls_handshake_that_never_comes_ends_at_the_total(bare_environment: None) -> None:
    server = RawServer(lambda _connection: server.wait(), reads_request=False)
    with closing(server), closing(client_of()) as client, pytest.raises(VendorUnavailable, match="total_timeout_ms"):
        client.ask(Request("GET", server.url.replace("http:", "https:")))


def test_a_body_that_trickles_over_tls_ends_at_the_total(tmp_path: Path, bare_environment: None) -> None:
    authority = Authority.in_directory(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)

    def script(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as protected:
            protected.recv(65_536)
            server.trickle(protected, HEAD + b"Content-Length: 1000\r\n\r\n", repeat(b" "))

    source = a_source(tls=Tls(ca_cert_path=authority.ca_path), limits=Limits(total_timeout_ms=TOTAL_MS))
    with closing(RawServer(script, reads_request=False)) as server, closing(VendorClient(source, env={})) as client:
        assert took_s(lambda: _refused(client, server.url.replace("http:", "https:"))) < 2


def _refused(client: VendorClient, url: str) -> None:
    with pytest.raises(VendorUnavailable, match="total_timeout_ms"):
        client.ask(Request("GET", url))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_proxy_s_tunnel_that_trickles_ends_at_the_total(
    monkeypatch: pytest.MonkeyPatch, bare_environment: None, answer: bytes
) -> None:
    proxy = RawServer(lambda connection: proxy.trickle(connection, answer, repeat(b"X: y\r\n" if answer else b"x")))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with closing(proxy), closing(client_of()) as client, pytest.raises(VendorUnavailable, match="total_timeout_ms"):
        client.ask(Request("GET", "https://vendor.invalid/"))


def test_the_total_grows_with_the_time_out_that_somebody_asked_for() -> None:
    assert Limits().total_timeout_s == 120
    assert Limits(read_timeout_ms=300_000).total_timeout_s == 600
    assert Limits(read_timeout_ms=300_000, total_timeout_ms=1_000).total_timeout_s == 1
