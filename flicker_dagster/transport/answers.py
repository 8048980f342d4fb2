"""The body of an answer, counted as it arrives: no header is believed, nothing is inflated beyond the limit."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

import urllib3

CHUNK_BYTES = 256 * 1024

#: The compressions that are undone here, as the value of a header.
ACCEPT_ENCODING = "gzip, deflate"

_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})


_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


class Unreadable(urllib3.exceptions.HTTPError):
    """An answer that contradicts itself, or is packed in a way that was not asked for."""


class TooLarge(urllib3.exceptions.HTTPError):
    """More than the limit arrived."""


def _check_framing(response: urllib3.BaseHTTPResponse) -> None:
    """Raise Unreadable where the headers do not say, in one way, where the body ends (RFC 9112, 6.3): two readers would
    find two answers in it."""
    lengths = response.headers.getlist("Content-Length")
    transfers = response.headers.getlist("Transfer-Encoding")
    if lengths and transfers:
        raise Unreadable("the answer has both Content-Length and Transfer-Encoding, expected one of them")
    if len(transfers) > 1 or (transfers and transfers[0].strip().lower() != "chunked"):
        raise Unreadable(f"the answer has Transfer-Encoding {', '.join(transfers)[:80]!r}, expected chunked")
    if len(lengths) > 1 or (lengths and not _WHOLE_NUMBER.fullmatch(lengths[0])):
        raise Unreadable(f"the answer has Content-Length {', '.join(lengths)[:80]!r}, expected one whole number")


def read_body(response: urllib3.BaseHTTPResponse, *, at_most_bytes: int) -> bytes:
    """The body, inflated. Raises TooLarge, Unreadable, and urllib3's HTTPError where it is cut off."""
    _check_framing(response)
    length = response.headers.get("Content-Length")
    if length is not None and int(length) <= at_most_bytes and _compression(response) is None:
        return response.read(decode_content=False)  # at once, which spares two copies
    pieces: list[bytes] = []
    left = at_most_bytes
    for piece in _pieces(response, at_most_bytes=at_most_bytes):
        left -= len(piece)
        if left < 0:
            raise TooLarge(f"more than {at_most_bytes} bytes")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_begin(response: urllib3.BaseHTTPResponse, *, at_most_bytes: int) -> bytes:
    """The body of an answer that is only to be told of: what is beyond the limit is not waited for, and the connection
    is closed then. Raises Unreadable, and urllib3's HTTPError where it is cut off."""
    _check_framing(response)
    begin = b""
    for piece in _pieces(response, at_most_bytes=at_most_bytes):
        begin += piece
        if len(begin) > at_most_bytes:
            response.close()
            break
    return begin[:at_most_bytes]


def _pieces(response: urllib3.BaseHTTPResponse, *, at_most_bytes: int) -> Iterator[bytes]:
    """Pieces of the body as they arrive, inflated where it is compressed, none larger than CHUNK_BYTES."""
    compression = _compression(response)
    inflate = None if compression is None else _Inflate(compression)
    arrived = 0
    while data := response.read(min(CHUNK_BYTES, at_most_bytes + 1), decode_content=False):
        arrived += len(data)
        if inflate is None:
            yield data
        elif arrived > at_most_bytes + CHUNK_BYTES:  # nothing compressed is so much larger than what it holds
            raise TooLarge(f"more than {at_most_bytes} bytes")
        else:
            yield from inflate.feed(data)
    if inflate is not None and arrived and not inflate.ended:
        raise urllib3.exceptions.ProtocolError("the compressed body ends in the middle")


def _compression(response: urllib3.BaseHTTPResponse) -> str | None:
    """The one compression of a body, or None. Raises Unreadable for several, and for one that was not asked for."""
    named = ",".join(response.headers.getlist("Content-Encoding")).lower()
    used = [each for each in map(str.strip, named.split(",")) if each in _COMPRESSIONS]
    if not used:
        return None  # some servers name a character set here
    if len(used) > 1 or used[0] not in ("gzip", "x-gzip", "deflate"):
        raise Unreadable(f"the answer has Content-Encoding {named[:80]!r}, expected {ACCEPT_ENCODING} or none")
    return used[0]


class _Inflate:
    """gzip (of several members, too) or deflate (with zlib's header, or bare as some servers send it)."""

    def __init__(self, compression: str) -> None:
        self._gzip = compression != "deflate"
        self._inflater: Any = None
        self.ended = False  # at the end of a member, which may be the last

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises DecodeError for what is not compressed so."""
        try:
            more = False  # what was read already holds more than one piece
            while data or more:
                if self._inflater is None:
                    if self.ended and not (self._gzip and data.startswith(b"\x1f")):
                        return  # padding
                    self._inflater, self.ended = zlib.decompressobj(self._window(data)), False
                piece = self._inflater.decompress(data, CHUNK_BYTES)
                if piece:
                    yield piece
                data, more = self._inflater.unconsumed_tail, len(piece) == CHUNK_BYTES
                if self._inflater.eof:
                    data, more = self._inflater.unused_data, False
                    self._inflater, self.ended = None, True
        except zlib.error as error:
            raise urllib3.exceptions.DecodeError(f"the body is not compressed as its header says: {error}") from None

    def _window(self, data: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        return zlib.MAX_WBITS if data[0] & 0x0F == 8 and data[0] >> 4 <= 7 else -zlib.MAX_WBITS
