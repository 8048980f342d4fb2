"""An OAuth2 token endpoint: client credentials (RFC 6749, 4.4) and signed assertions (RFC 7523), with faults on demand.

A receiver that wants such tokens asks `accepts`, and may serve `handle` at a path of its own.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.server import Request, Response, Server

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLOCK_LEEWAY_S = 300


@dataclass(frozen=True)
class Minted:
    """A token that was given out, and what for."""

    value: str
    ends_s: float
    scope: str
    audience: str
    subject: str = ""


class TokenServer:
    """`POST` to any path. `clients` are secrets by client id; `scopes` and `audiences`, where given, are all there are;
    `accounts` are public keys (PEM) of service accounts by email. `answers`, while there are any, are given instead."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **settings: Any) -> None:
        self._lock = threading.Lock()
        self.reset(**settings)
        self.server = Server(self.handle, host=host, port=port, clock=lambda: self.clock())

    def reset(
        self,
        *,
        clients: Mapping[str, str] | None = None,
        accounts: Mapping[str, bytes] | None = None,
        scopes: frozenset[str] | None = None,
        audiences: frozenset[str] | None = None,
        lifetime_s: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin anew: nothing was asked and nothing minted."""
        with self._lock:
            self.clients, self.accounts = dict(clients or {}), dict(accounts or {})
            self.scopes, self.audiences = scopes, audiences
            self.lifetime_s, self.clock = lifetime_s, clock
            self.faults = Faults()
            self.answers: deque[Response] = deque()
            self.asked: list[dict[str, str]] = []
            self.minted: list[Minted] = []

    @property
    def url(self) -> str:
        return f"{self.server.url}/token"

    def close(self) -> None:
        self.server.close()

    def accepts(self, token: str) -> bool:
        """Was it minted here, is it not over, and not revoked?"""
        return any(each.value == token and self.clock() < each.ends_s for each in list(self.minted))

    def revoke_all(self) -> None:
        """As an administrator may: every token given out so far is refused from now on."""
        with self._lock:
            self.minted = [Minted(each.value, 0.0, each.scope, each.audience, each.subject) for each in self.minted]

    def handle(self, request: Request) -> Response:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        with self._lock:
            self.asked.append(form)
            if self.answers:
                return self.answers.popleft()
        fault = self.faults.take()
        if fault is not None and fault.kind != "slow":
            return _faulty(fault)
        refusal = self._refusal(request, form)
        response = refusal if refusal is not None else self._mint(form)
        response.fault = fault
        return response

    def _refusal(self, request: Request, form: dict[str, str]) -> Response | None:
        if request.method != "POST":
            return _error("invalid_request", "expected POST", 405)
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            return _error("invalid_request", "expected a form")
        grant = form.get("grant_type")
        if grant == "client_credentials" and self.clients:
            if not self._knows(request, form):
                return _error("invalid_client", "unknown client or wrong secret", 401)
        elif grant == JWT_BEARER and self.accounts:
            fault = self._fault_of(form.get("assertion", ""))
            if fault is not None:
                return _error("invalid_grant", fault)
        else:
            return _error("unsupported_grant_type", f"no {grant} here")
        asked = set(form.get("scope", "").split())
        if self.scopes is not None and not asked <= self.scopes:
            return _error("invalid_scope", "no such scope")
        if self.audiences is not None and form.get("audience") not in self.audiences:
            return _error("invalid_target", "no such audience")
        return None

    def _knows(self, request: Request, form: dict[str, str]) -> bool:
        scheme, _, coded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            name, _, secret = base64.b64decode(coded).decode().partition(":")
            client, secret = unquote_plus(name), unquote_plus(secret)
        else:
            client, secret = form.get("client_id", ""), form.get("client_secret", "")
        return self.clients.get(client) == secret

    def _fault_of(self, assertion: str) -> str | None:
        """What is wrong with a signed assertion."""
        import jwt

        try:
            issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss", "")
            if issuer not in self.accounts:
                return "Invalid grant: account not found"
            claims: dict[str, Any] = jwt.decode(
                assertion,
                self.accounts[issuer],
                algorithms=["RS256"],
                audience=self.url,
                options={"verify_exp": False, "verify_iat": False, "require": ["iss", "aud", "iat", "exp", "scope"]},
            )
        except jwt.PyJWTError as error:
            return f"Invalid JWT: {type(error).__name__}"
        now_s = self.clock()
        if not claims["iat"] - CLOCK_LEEWAY_S <= now_s < claims["exp"] + CLOCK_LEEWAY_S or (
            claims["exp"] - claims["iat"] > 3600
        ):
            return (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
        return None

    def _mint(self, form: dict[str, str]) -> Response:
        value = f"ya29.{secrets.token_urlsafe(32)}"
        scope, audience = form.get("scope", ""), form.get("audience", "")
        with self._lock:
            self.minted.append(Minted(value, self.clock() + self.lifetime_s, scope, audience))
        answer = {"access_token": value, "token_type": "Bearer", "expires_in": int(self.lifetime_s)}
        return Response.json(answer, headers=[("Cache-Control", "no-store")])


def _error(code: str, description: str, status: int = 400) -> Response:
    return Response.json({"error": code, "error_description": description}, status)


def _faulty(fault: Fault) -> Response:
    if fault.kind == "html":
        return Response(200, b"<html><body>Sign in</body></html>", [("Content-Type", "text/html")])
    if fault.kind.isdigit():
        waits = [("Retry-After", fault.retry_after)] if fault.retry_after else []
        return Response.json({"error": "temporarily_unavailable"}, int(fault.kind), waits)
    return Response(200, b'{"access_token":"half', fault=fault)
