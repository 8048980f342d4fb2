"""How requests to Duo's Admin API are signed: versions 2, 4 and 5 of the canonical form, as Duo's own clients make them."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlsplit

from flicker_dagster.simulator.pages import is_for
from flicker_dagster.simulator.server import Request
from flicker_dagster.times import parse_http_date_ms

#: A Date further away than this is refused.
LEEWAY_MS = 300_000


def fault_of(
    request: Request, *, host: str, integration_key: str, secret_key: str, now_ms: int
) -> tuple[int, str] | None:
    """Duo's code and message for a request that is not signed as it should be."""
    given = request.basic()
    if given is None:
        return 40101, "Missing request credentials"
    if given[0] != integration_key:
        return 40102, "Invalid integration key in request credentials"
    date = request.headers.get("date", "")
    sent_ms = parse_http_date_ms(date)
    if sent_ms is None or abs(sent_ms - now_ms) > LEEWAY_MS:
        return 40105, "Bad request timestamp"
    hosts = {host, request.host, request.headers.get("host", "").lower()} if is_for(request) else {host}
    for each in hosts:
        for algorithm, lines in _forms(request, date, each):
            signed = hmac.new(secret_key.encode(), "\n".join(lines).encode(), algorithm).hexdigest()
            if hmac.compare_digest(signed, given[1]):
                return None
    return 40103, "Invalid signature in request credentials"


def canonical_parameters(pairs: list[tuple[str, str]]) -> str:
    """Percent-encoded, by key and then by value."""
    encoded = sorted((quote(key, "~"), quote(value, "~")) for key, value in pairs)
    return "&".join(f"{key}={value}" for key, value in encoded)


def _forms(request: Request, date: str, host: str) -> list[tuple[str, list[str]]]:
    pairs = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    lines = [date, request.method.upper(), host, request.path, canonical_parameters(pairs)]
    body = hashlib.sha512(request.body).hexdigest()
    own = sorted((name, value) for name, value in request.headers.items() if name.startswith("x-duo-"))
    headers = hashlib.sha512("\x00".join(part for pair in own for part in pair).encode()).hexdigest()
    return [
        ("sha1", lines),
        ("sha512", lines),
        ("sha512", [*lines, body]),
        ("sha512", [*lines, body, headers]),
    ]
