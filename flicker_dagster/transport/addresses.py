"""Addresses (URLs), read by the parser that also connects: urllib3's. No other one decides where a request goes.

A link that an answer gives adds a path and a query to the origin of the request that was answered, and nothing else: it is
refused where it names another origin, and where two readers could disagree about that.
"""

from __future__ import annotations

import re

import msgspec
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

#: Longer links and cursors are refused; no request line of an honest vendor comes near it.
MAX_LINK_CHARS = 64 * 1024

#: RFC 3986, appendix B. Only cuts the text into pieces: whose server it is, urllib3 says.
_PIECES = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)

_WHITE_OR_CONTROL = re.compile(
    r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff\ud800-\udfff]"
)

_PORTS = {"http": 80, "https": 443}


class BadAddress(ValueError):
    """Why an address cannot be used, in words that do not hold it, to follow `the link`."""


class Origin(msgspec.Struct, frozen=True):
    """Scheme, host and port of a server: where a source's credentials may go."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        usual = self.port == _PORTS.get(self.scheme)
        return f"{self.scheme}://{self.host}" + ("" if usual else f":{self.port}")


def origin_of(url: str) -> Origin:
    """The server that a connection for this URL goes to. Raises BadAddress."""
    scheme, authority, _, _ = _pieces(url)
    if scheme is None or authority is None:
        raise BadAddress("is no absolute URL, expected http://host/… or https://host/…")
    return _origin(scheme, authority)


def target_of(url: str) -> str:
    """What stands in the request line: path and query exactly as the URL spells them."""
    _, _, path, query = _pieces(url)
    path = path if path.startswith("/") else f"/{path}"
    return path if query is None else f"{path}?{query}"


def is_absolute(text: str) -> bool:
    """Is it meant as an address with a scheme of ours, however spelt?"""
    return re.match(r"\s*https?:", text, re.IGNORECASE) is not None


def follow(link: str, base: str) -> str:
    """The URL that a link of an answer to `base` leads to: the link's path and query at the origin of `base`, both as they
    are spelt. Raises BadAddress for a link that leads elsewhere, or that could be read as if it did."""
    if len(link) > MAX_LINK_CHARS:
        raise BadAddress(f"is {len(link)} characters long, expected {MAX_LINK_CHARS} at most")
    if "\\" in link:
        raise BadAddress("holds a backslash, which some take for a slash")
    if _WHITE_OR_CONTROL.search(link):
        raise BadAddress("holds white space or control characters, expected them percent-encoded")
    own_scheme, own_authority, own_path, own_query = _pieces(base)
    scheme, authority, path, query = _pieces(link)
    if scheme is not None and scheme.lower() not in _PORTS:
        raise BadAddress(f"has the scheme {scheme[:20]!r}, expected http or https")
    if scheme is not None and not authority:
        raise BadAddress("names a scheme and no host, expected //host after it")
    if authority is not None:
        if not authority:
            raise BadAddress("has an empty host")
        if "@" in authority:
            raise BadAddress("holds a user or password before its host")
        meant, own = _origin(scheme or own_scheme or "", authority), origin_of(base)
        if meant != own:
            raise BadAddress(f"leads to another host ({meant}), expected {own}")
    elif not path:
        path, query = own_path, own_query if query is None else query
    elif not path.startswith("/"):
        path = _without_dots(own_path[: own_path.rfind("/") + 1] + path)
    path = path if path.startswith("/") else f"/{path}"
    return f"{own_scheme}://{own_authority}{path}" + ("" if query is None else f"?{query}")


def _pieces(url: str) -> tuple[str | None, str | None, str, str | None]:
    """Scheme, authority, path and query, as they are spelt."""
    found = _PIECES.fullmatch(url)
    assert found is not None  # it takes any text
    return found[1], found[2], found[3], found[4]


def _origin(scheme: str, authority: str) -> Origin:
    if "\\" in authority or _WHITE_OR_CONTROL.search(authority):
        raise BadAddress("holds a backslash, white space or control characters in its host")
    try:
        parsed = parse_url(f"{scheme}://{authority}")
    except (LocationParseError, ValueError):
        raise BadAddress("has a host or port that cannot be read") from None
    if parsed.scheme not in _PORTS:
        raise BadAddress(f"has the scheme {scheme[:20]!r}, expected http or https")
    port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not parsed.host or not port:
        raise BadAddress("has no host, or port 0")
    return Origin(parsed.scheme, parsed.host, port)


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4: a relative path without its `.` and `..`."""
    kept: list[str] = []
    *folders, last = path.split("/")
    for part in folders:
        if part == "..":
            kept = kept[:-1] if len(kept) > 1 else kept
        elif part != ".":
            kept.append(part)
    if last == "..":
        kept = kept[:-1] if len(kept) > 1 else kept
    return "/".join([*kept, "" if last in (".", "..") else last])
