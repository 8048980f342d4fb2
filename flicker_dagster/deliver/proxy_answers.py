"""Refusals that come from a proxy before the destination, in the destination's name: they say nothing of the events."""

from __future__ import annotations

import re

from flicker_dagster.transport.exchange import Answer

#: nginx hides its own statuses 494 to 497 behind a 400 with a page ("Module ngx_http_ssl_module", Error Processing).
_NGINX = re.compile(
    rb"\s*<html>\s*<head>\s*<title>400 (No required SSL certificate was sent|The SSL certificate error"
    rb"|The plain HTTP request was sent to HTTPS port|Request Header Or Cookie Too Large)</title>"
)
_ADVICE = {
    b"No": "set tls.cert_path and tls.key_path",
    b"The SSL": "the client certificate of tls.cert_path is over, or of an authority that is not known there",
    b"The plain": "write https:// in the address",
    b"Request": "a header or token is longer than the proxy takes; raise its large_client_header_buffers",
}


def refused_by_proxy(answer: Answer) -> str | None:
    """Why a proxy refused to pass a request on, and what to do; None where it did not."""
    found = _NGINX.match(answer.body) if answer.status == 400 else None
    if found is None:
        return None
    advice = next(advice for begin, advice in _ADVICE.items() if found[1].startswith(begin))
    return f"HTTP 400 of the proxy before it: {found[1].decode()}; {advice}"
