"""The next link of an answer, made to lead to another host: nobody who holds a credential may follow it there."""

from __future__ import annotations

import re

from flicker_dagster.simulator.server import Response

ELSEWHERE = "http://evil.invalid"
#: Scheme and server of an absolute link.
ORIGIN = re.compile(r"https?://[^/?\s\"<>]+")
#: The link of a document, alone or inside an object of its own, relative or not.
_NEXT = re.compile(
    rb'("(?:@odata\.)?next(?:_page|_page_url|_link|PageLink|Link|RecordsUrl)?":\s*'
    rb'(?:\{[^{}]*?"(?:href|link|uri)":\s*)?")(?:https?://[^/"]+)?(?=/)'
)


def lead_elsewhere(response: Response, *, header: str = "Link") -> None:
    """The links in this header, and the document's first next link."""
    response.headers = [
        (name, ORIGIN.sub(ELSEWHERE, value) if name.lower() == header.lower() else value)
        for name, value in response.headers
    ]
    response.body = _NEXT.sub(rb"\g<1>" + ELSEWHERE.encode(), response.body, count=1)
