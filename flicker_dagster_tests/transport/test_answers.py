"""Bodies are counted as they arrive, and inflated within their limit only."""

from __future__ import annotations

import gzip
import http.client
import io
import zlib
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip, isal_zlib

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import CollectError
from flicker_dagster.transport.answers import CHUNK_BYTES, _Inflate
from flicker_dagster.transport.exchange import Request
from flicker_dagster.transport.timed_sockets import _headers_of
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.raw_server import RawServer

BODY = b'[{"id": "1"}]'


def get(answer: bytes, **limits: Any) -> bytes:
    with (
        closing(RawServer(lambda connection: connection.sendall(answer))) as server,
        closing(VendorClient(a_source(limits=Limits(**limits)), env={})) as client,
    ):
        return client.ask(Request("GET", server.url)).body


def answer(*headers: str, body: bytes = BODY) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", "Connection: close", *headers, "", ""]).encode() + body


CHUNKED = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        answer(f"Content-Length: {len(BODY)}"),
        answer("Transfer-Encoding: chunked", body=CHUNKED),
        answer("Transfer-Encoding: Chunked", body=CHUNKED),
        answer("Transfer-Encoding: chunked", body=b"00D  ;name=value" + CHUNKED[1:]),
        answer(),
        answer("Content-Encoding: gzip", body=gzip.compress(BODY)),
        answer("Content-Encoding: x-gzip, identity", body=gzip.compress(BODY[:4]) + gzip.compress(BODY[4:])),
        answer("Content-Encoding: gzip", body=gzip.compress(BODY) + bytes(100)),
        answer("Content-Encoding: deflate", body=zlib.compress(BODY)),
        answer("Content-Encoding: deflate", body=zlib.compress(BODY)[2:-4]),
        answer("Content-Encoding: UTF-8"),  # some servers name a character set here
    ],
    ids=range(11),
)
def test_a_body_is_read_however_it_is_framed_and_packed(sent: bytes) -> None:
    assert get(sent) == BODY


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], "both Content-Length and Transfer-Encoding"),
        (["Content-Length: 5", "Content-Length: 6"], "multiple unmatching values (5, 6)"),  # by urllib3
        (["Content-Length: 5, 5"], "Content-Length '5, 5'"),
        (["Content-Length: -1"], "Content-Length '-1'"),
        (["Content-Length: +5"], "Content-Length '+5'"),
        (["Content-Length: 0x5"], "Content-Length '0x5'"),
        (["Content-Length: " + "9" * 5_000], "Content-Length '999"),
        (["Transfer-Encoding: gzip, chunked"], "Transfer-Encoding 'gzip, chunked'"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "Transfer-Encoding 'chunked, chunked'"),
        (["Transfer-Encoding: identity"], "Transfer-Encoding 'identity'"),
        (["Content-Encoding: gzip, gzip"], "Content-Encoding 'gzip, gzip'"),
        (["Content-Encoding: gzip", "Content-Encoding: gzip"], "Content-Encoding 'gzip,gzip'"),
        (["Content-Encoding: br"], "Content-Encoding 'br'"),
    ],
)
def test_an_answer_that_two_readers_would_read_differently_is_refused(headers: list[str], why: str) -> None:
    with pytest.raises(CollectError) as caught:
        get(answer(*headers))
    assert why in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("size", [b"-1", b"-5", b"+d", b"0xd", b"d_0", b" d", b"", b"zz", b"f" * 16])
def test_a_chunk_of_no_size_ends_the_answer(size: bytes) -> None:
    """With -1 Python's own reader reads until the connection ends, however much comes."""
    with pytest.raises(CollectError, match=r"IncompleteRead|cut"):
        get(answer("Transfer-Encoding: chunked", body=size + CHUNKED[1:]))


@pytest.mark.parametrize(
    "sent",
    [
        answer("Content-Encoding: gzip", body=igzip.compress(bytes(200_000_000))),
        answer("Content-Encoding: deflate", body=isal_zlib.compress(bytes(200_000_000))),
        answer("Content-Encoding: gzip", body=gzip.compress(b"") * 100_000),
        answer("Transfer-Encoding: chunked", body=b"f" * 100_000),
        answer("Transfer-Encoding: chunked", body=b"1;" + b"x" * 100_000),
    ],
    ids=["bomb", "deflate", "members", "chunk size", "extension"],
)
def test_a_bomb_is_refused_before_it_goes_off(sent: bytes) -> None:
    with pytest.raises(CollectError):
        get(sent, page_bytes=1_000_000)


@pytest.mark.fuzz
@given(
    st.binary(max_size=3_000),
    st.integers(1, 50),
    st.lists(st.integers(1, 400), max_size=30),
    st.sampled_from(["gzip", "deflate"]),
)
def test_what_is_packed_comes_out_as_it_was_in_whatever_pieces_it_arrives(
    data: bytes, repeated: int, cuts: list[int], compression: str
) -> None:
    data *= repeated * 10
    members = [data[: len(data) // 2], data[len(data) // 2 :]] if compression == "gzip" else [data]
    packed = b"".join((gzip.compress if compression == "gzip" else zlib.compress)(member) for member in members)
    inflate, out = _Inflate(compression), []
    for cut in [*cuts, len(packed)]:
        piece, packed = packed[:cut], packed[cut:]
        out += list(inflate.feed(piece)) if piece else []
    assert b"".join(out) == data
    assert inflate.ended
    assert all(len(piece) <= CHUNK_BYTES for piece in out)


def test_what_comes_instead_of_an_answer_is_not_shown() -> None:
    with pytest.raises(CollectError) as caught:
        get(b'{"id": "e1", "actor": "alice.smith"}\r\n\r\n')
    assert "does not begin as one of HTTP does" in str(caught.value)
    assert "alice" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("X-A: b", "b"),
        ("X-A:b", "b"),
        ("x-a:  b  ", "b  "),
        ("X-A: b\r\n c", "b\r\n c"),  # folded, as it was allowed once (RFC 7230, 3.2.4)
        ("X-A: f\xfcr", "f\xfcr"),
        ("X-A: b\r\nX-Other: \x0bc", "b"),
    ],
)
def test_headers_are_read_as_python_reads_them(lines: str, found: str) -> None:
    text = f"{lines}\r\nContent-Length: 2\r\n\r\n".encode("iso-8859-1")
    assert _headers_of(io.BytesIO(text))["X-A"] == http.client.parse_headers(io.BytesIO(text))["X-A"] == found
