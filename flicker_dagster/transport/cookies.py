"""Cookies of one server, as far as a load balancer in front of it needs them: what it set is sent back to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

#: Names and values, sorted by name.
Cookies: TypeAlias = tuple[tuple[str, str], ...]

#: More, and longer ones, are no pins to a server. They are left out rather than cut.
MOST_COOKIES, LONGEST_COOKIE_CHARS = 20, 1_024

#: A name and a value as RFC 6265, 4.1.1 has them; quotes around a value are part of it.
_PAIR = re.compile(r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*([\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E\"]*)\s*")
_OVER = re.compile(r";\s*max-age\s*=\s*(-\d+|0+)\s*(;|$)", re.IGNORECASE)


class CookieJar:
    """The cookies of one server. Thread-safe.

    Domain, path and expiry are not looked at: the jar lives no longer than its connections, and all of its requests go to
    one server. A cookie with `Max-Age=0` is forgotten, and one that `holds_secret` is never kept: cookies are written down
    with what waits for its confirmation, and a server may echo what it was sent.
    """

    def __init__(self, *, holds_secret: Callable[[str], bool] = lambda text: False) -> None:
        self._lock = threading.Lock()
        self._holds_secret = holds_secret
        self._cookies: Cookies = ()

    @property
    def cookies(self) -> Cookies:
        return self._cookies

    def heed(self, answer_headers: Mapping[str, str], *, sent: Cookies) -> Cookies:
        """Take over what an answer sets (headers as `Answer` has them), and give the cookies that lead to whoever gave this
        answer: those that were `sent`, with what it set."""
        lines = [line for line in answer_headers.get("set-cookie", "").splitlines() if not self._holds_secret(line)]
        if not lines:
            return sent
        with self._lock:
            self._cookies = _changed(self._cookies, lines)
        return _changed(sent, lines)


def header_of(cookies: Cookies) -> dict[str, str]:
    """The request header for these cookies, or none."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies)} if cookies else {}


def _changed(cookies: Cookies, lines: list[str]) -> Cookies:
    found = dict(cookies)
    for line in lines:
        pair = _PAIR.fullmatch(line.partition(";")[0])
        if pair is None or len(pair[0]) > LONGEST_COOKIE_CHARS:
            continue
        if _OVER.search(line):
            found.pop(pair[1], None)
        elif pair[1] in found or len(found) < MOST_COOKIES:
            found[pair[1]] = pair[2]
    return tuple(sorted(found.items()))
