"""The server's bounds for clients that are slow or endless, on a real socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from flicker_dagster.web import server
from flicker_dagster_tests.web.asgi import Asked

HELLO = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADERS_S", 0.3)


def with_server(talk: Callable[[int], Awaitable[Any]]) -> Any:
    """Serve an empty application as `serve` would, and talk to its port."""

    async def both() -> Any:
        config = server.config(Asked().guard, host="127.0.0.1", port=0)
        serving = uvicorn.Server(config)
        task = asyncio.create_task(serving.serve())
        while not serving.started:
            await asyncio.sleep(0.01)
        try:
            return await talk(serving.servers[0].sockets[0].getsockname()[1])
        finally:
            serving.should_exit = True
            await task

    return asyncio.run(both())


async def sent(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """What the server says until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause_s)
        answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "parts",
    [(), (b"GE",), (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",), (HELLO, b"GET / HT")],
    ids=["silence", "a line that does not end", "headers that do not end", "after a first request"],
)
@pytest.mark.usefixtures("impatient")
def test_a_request_that_does_not_become_one_is_not_waited_for(parts: tuple[bytes, ...]) -> None:
    answer = with_server(lambda port: sent(port, *parts))
    assert answer.count(b"HTTP/1.1 200") == parts.count(HELLO)


@pytest.mark.usefixtures("impatient")
def test_headers_that_trickle_are_not_waited_for() -> None:
    head = (b"GET / HTTP/1.1\r\nHost: localhost\r\n", *[b"X-A: b\r\n"] * 30, b"\r\n")
    assert b"200" not in with_server(lambda port: sent(port, *head, pause_s=0.03))


@pytest.mark.usefixtures("impatient")
def test_a_body_that_nobody_asked_for_is_not_waited_for() -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000\r\n\r\n"
    assert with_server(lambda port: sent(port, head, b"x", b"x")).startswith(b"HTTP/1.1 403")


def test_headers_without_end_are_refused() -> None:
    many = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: %s\r\n" % (b"b" * 8000) * 20 + b"\r\n"
    assert b"200" not in with_server(lambda port: sent(port, many))  # the refusal may be lost in the reset


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n",
        b"GET http://evil.example/graphql HTTP/1.1\r\nHost: localhost\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    ],
)
def test_what_is_ambiguous_on_the_wire_is_refused(head: bytes) -> None:
    answer = with_server(lambda port: sent(port, head + b"Connection: close\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400"), answer


def test_connections_without_end_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)

    async def many(port: int) -> list[bool]:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        ended = []
        for reader, _ in opened[3:]:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 20) == b""
            ended.append(True)
        for _, writer in opened:
            writer.close()
        return ended

    assert with_server(many) == [True] * 3


def test_a_probe_needs_no_more_than_a_request_and_learns_nothing_of_the_server() -> None:
    closing = HELLO.replace(b"Host: x\r\n", b"Host: 10.0.0.9:3000\r\nConnection: close\r\n")
    answer = with_server(lambda port: sent(port, closing))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nok\n")
    assert b"uvicorn" not in answer


@pytest.mark.parametrize(
    ("origin", "status"), [(b"http://localhost:3000", b"101"), (b"http://localhost:9", b"403"), (b"null", b"403")]
)
def test_a_websocket_asks_from_its_own_origin(origin: bytes, status: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    asked = (
        b"GET /graphql HTTP/1.1\r\nHost: localhost:3000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: " + origin + b"\r\n\r\n"
    )
    assert with_server(lambda port: sent(port, asked)).startswith(b"HTTP/1.1 " + status)
