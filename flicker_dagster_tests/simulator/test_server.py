"""A request counts once it is there as a whole: what a client that died had sent of it is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from flicker_dagster.simulator.receiver import Receiver

BODY = b'{"uuid":"a"}\n{"uuid":"b"}\n'
CHUNKED = b"e\r\n" + BODY[:14] + b"\r\nc\r\n" + BODY[14:] + b"\r\n0\r\n\r\n"


@pytest.fixture
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def sent(siem: Receiver, framing: str, body: bytes) -> bytes:
    """What is answered to a client that sends no more than this, though it stays to listen."""
    with socket.create_connection((siem.server.host, siem.server.port), timeout=10) as connection:
        head = f"POST /siem HTTP/1.1\r\nHost: siem\r\nIdempotency-Key: k\r\n{framing}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(4096):
            answer += data
        return answer


@pytest.mark.parametrize("there", [0, 13, len(BODY) - 1], ids=["nothing", "one of two lines", "all but the last byte"])
def test_a_body_that_is_shorter_than_it_says_is_no_request(siem: Receiver, there: int) -> None:
    siem.faults.plan("503")
    assert sent(siem, f"Content-Length: {len(BODY)}", BODY[:there]) == b""
    assert siem.inbox("/siem").batches == 0
    assert sent(siem, f"Content-Length: {len(BODY)}", BODY).startswith(b"HTTP/1.1 503"), "a fault is for a request"
    assert sent(siem, f"Content-Length: {len(BODY)}", BODY).startswith(b"HTTP/1.1 200")
    assert siem.inbox("/siem").repeated_otherwise == 0
    assert siem.ids("/siem") == {"a": 1, "b": 1}


@pytest.mark.parametrize("there", range(0, len(CHUNKED), 3))
def test_chunks_without_their_end_are_no_request(siem: Receiver, there: int) -> None:
    assert sent(siem, "Transfer-Encoding: chunked", CHUNKED[:there]) == b""
    assert siem.inbox("/siem").batches == 0


def test_chunks_with_their_end_are_a_request(siem: Receiver) -> None:
    assert sent(siem, "Transfer-Encoding: chunked", CHUNKED).startswith(b"HTTP/1.1 200")
    assert siem.ids("/siem") == {"a": 1, "b": 1}
