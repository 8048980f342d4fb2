"""Requests for access tokens by a client's own credentials (RFC 6749, 4.4), and answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.minting import Minting
from flicker_dagster.simulator.server import Request, Response

FORM = "application/x-www-form-urlencoded"
#: The grant of a signed assertion (RFC 7523, 2.1).
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def fault_of_request(request: Request, grant: str) -> tuple[str, str] | None:
    """Why a request is none for a token of this grant: RFC 6749's code, and a description."""
    if request.method != "POST":
        return "invalid_request", f"expected POST, not {request.method}"
    if content_type(request) != FORM:
        return "invalid_request", f"expected {FORM}"
    if request.form.get("grant_type") != grant:
        return "unsupported_grant_type", f"expected {grant}"
    return None


def client_of(request: Request) -> tuple[str, str]:
    """Client id and secret: of the Authorization header, else of the form (RFC 6749, 2.3.1)."""
    given = request.basic()
    if given is not None:
        return unquote_plus(given[0]), unquote_plus(given[1])
    return request.form.get("client_id", ""), request.form.get("client_secret", "")


def granted(minting: Minting, *, prefix: str = "at-", **more: Any) -> Response:
    """A new token. `more` are further members of the answer, or other spellings of the usual ones."""
    token = minting.mint(prefix=prefix)
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": int(minting.lifetime_s)}
    return Response.json(answer | more, headers=[("Cache-Control", "no-store")])


def refused(code: str, description: str, status: int = 400) -> Response:
    """RFC 6749, 5.2."""
    return Response.json({"error": code, "error_description": description}, status)


def token_for_client(
    request: Request,
    minting: Minting,
    clients: Mapping[str, str],
    *,
    must: Mapping[str, str] | None = None,
    may: tuple[str, ...] = (),
    grant_implied: bool = False,
    status: int = 200,
) -> Response:
    """A token for client credentials, or the refusal. `clients` are secrets by client id; `must` are fields with the value
    they have to have, `may` others that are known; `grant_implied` where the grant need not be named."""
    form, must = request.form, must or {}
    fault = fault_of_request(request, "client_credentials")
    implied = grant_implied and "grant_type" not in form and fault is not None and fault[0] == "unsupported_grant_type"
    if fault is not None and not implied:
        return refused(*fault)
    client, secret = client_of(request)
    if not client or clients.get(client) != secret:
        return refused("invalid_client", "unknown client or wrong secret", 401)
    strange = sorted(form.keys() - {"grant_type", "client_id", "client_secret", *must, *may})
    wrong = [name for name, value in must.items() if form.get(name) != value]
    if strange or wrong:
        return refused("invalid_request", f"bad parameter: {', '.join(strange + wrong)}")
    answer = granted(minting)
    answer.status = status
    return answer
