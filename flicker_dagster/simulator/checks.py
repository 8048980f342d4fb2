"""What dialects check of a request: the spelling of its times, the client that wants a token."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flicker_dagster.simulator.minting import Minting
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import parse_time_ms

FORM = "application/x-www-form-urlencoded"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def content_type(request: Request) -> str:
    """Without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def rfc3339_of(text: object, *, days: bool = False) -> int | None:
    """A time with a T, seconds and a zone, as ms; with `days` a bare day in UTC too. None for anything else: a plus sign
    that came as a space, a day without its time, a number."""
    if not isinstance(text, str) or not (_RFC3339.fullmatch(text) or (days and _DAY.fullmatch(text))):
        return None
    return parse_time_ms(text, "iso8601")


def span_of(
    request: Request, start: str, end: str, spelled: re.Pattern[str], *, now_ms: int, fmt: str = "iso8601"
) -> tuple[int, int] | None:
    """Milliseconds of the parameters named `start` and `end`: all there is until now where one is not given. None for a
    time in another spelling, and for an end before the start."""
    times: list[int] = []
    for name, default in ((start, 0), (end, now_ms)):
        text = request.query.get(name)
        ms = default if text is None else parse_time_ms(text, fmt) if spelled.fullmatch(text) else None
        if ms is None:
            return None
        times.append(ms)
    return (times[0], times[1]) if times[0] <= times[1] else None


def token_for_client(
    request: Request,
    minting: Minting,
    clients: Mapping[str, str],
    *,
    lifetime_s: int,
    must: Mapping[str, str] | None = None,
    may: tuple[str, ...] = (),
    grant_implied: bool = False,
    status: int = 200,
) -> Response:
    """A token for client credentials (RFC 6749, 4.4), the secret in the form or as Basic, or the refusal.

    `clients` are secrets by client id; `must` are fields with the value they have to have, `may` others that are known.
    """
    if request.method != "POST":
        return oauth_error("invalid_request", "expected POST", 405)
    if content_type(request) != FORM:
        return oauth_error("invalid_request", f"expected {FORM}")
    form, must = request.form, must or {}
    implied = grant_implied and "grant_type" not in form
    if not implied and form.get("grant_type") != "client_credentials":
        return oauth_error("unsupported_grant_type", f"no {form.get('grant_type')} here")
    client, secret = request.basic() or (form.get("client_id", ""), form.get("client_secret", ""))
    if not client or clients.get(client) != secret:
        return oauth_error("invalid_client", "unknown client or wrong secret", 401)
    strange = form.keys() - {"grant_type", "client_id", "client_secret", *must, *may}
    wrong = [name for name, value in must.items() if form.get(name) != value]
    if strange or wrong:
        return oauth_error("invalid_request", f"bad parameter: {', '.join(sorted(strange) + wrong)}")
    token = minting.mint(lifetime_s=lifetime_s)
    return Response.json({"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s}, status)


def oauth_error(code: str, description: str, status: int = 400) -> Response:
    """RFC 6749, 5.2."""
    return Response.json({"error": code, "error_description": description}, status)
