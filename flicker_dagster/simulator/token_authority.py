"""An authorization server as a part of another one: a dialect or receiver asks `accepts`, and serves `handle` at a path of its
own.

Grants: client credentials (RFC 6749, 4.4) with the client's id and secret in form, JSON, address, basic or a header of their
own, or with a signed assertion (RFC 7523, 2.2); account credentials; refresh tokens (RFC 6749, 6) that serve once; signed
assertions (RFC 7523, 2.1); and a log-in with name and password.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.grants import FORM, JWT_BEARER
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.token_assertions import Assertions
from flicker_dagster.times import rfc3339_ms

_HEADER = re.compile(r"client_id:\s*(\S+),\s*client_secret:\s*(\S+)")


@dataclass(frozen=True)
class Minted:
    """A token that was given out, and what for."""

    value: str
    ends_s: float
    scope: str
    audience: str
    subject: str = ""


class TokenAuthority:
    """`clients` are secrets by client id; `client_keys` public keys (PEM) of clients that sign; `accounts` public keys of who
    may sign assertions, by `iss`; `account_ids` those of account credentials; `refresh_tokens` clients by refresh token;
    `logins` passwords by name. `scopes` and `audiences`, where given, are all there are; `beside` stands in every answer;
    `consented` is whether a user agreed to signed assertions. `answers`, while there are any, are given instead."""

    def __init__(self, *, url: Callable[[], str] = lambda: "", **settings: Any) -> None:
        """`url` is the address that assertions have to name as their audience, unless settings say another."""
        self._url = url
        self._lock = threading.Lock()
        self.reset(**settings)

    def reset(
        self,
        *,
        clients: Mapping[str, str] | None = None,
        client_keys: Mapping[str, bytes] | None = None,
        accounts: Mapping[str, bytes] | None = None,
        account_ids: frozenset[str] = frozenset(),
        refresh_tokens: Mapping[str, str] | None = None,
        rotating: bool = True,
        logins: Mapping[str, str] | None = None,
        scopes: frozenset[str] | None = None,
        audiences: frozenset[str] | None = None,
        assertion_audience: str | None = None,
        required_claims: tuple[str, ...] = (),
        consented: bool = True,
        beside: Mapping[str, Any] | None = None,
        tells_life: bool = True,
        lifetime_s: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin anew: nothing was asked and nothing minted."""
        with self._lock:
            self.clients, self.accounts = dict(clients or {}), dict(accounts or {})
            self.client_keys, self.account_ids = dict(client_keys or {}), account_ids
            self.refresh_tokens, self.rotating = dict(refresh_tokens or {}), rotating
            self.spent_refresh_tokens: set[str] = set()
            self.logins = dict(logins or {})
            self.scopes, self.audiences, self.consented = scopes, audiences, consented
            self.beside, self.tells_life = dict(beside or {}), tells_life
            self.lifetime_s, self.clock = lifetime_s, clock
            self.assertions = Assertions(
                lambda: assertion_audience or self._url(), clock=lambda: self.clock(), required=required_claims
            )
            self.faults = Faults()
            self.answers: deque[Response] = deque()
            self.asked: list[dict[str, str]] = []
            self.minted: list[Minted] = []

    def accepts(self, token: str) -> bool:
        """Was it minted here, is it not over, and not revoked?"""
        return any(each.value == token and self.clock() < each.ends_s for each in list(self.minted))

    def revoke_all(self) -> None:
        """As an administrator may: every token given out so far is refused from now on."""
        with self._lock:
            self.minted = [replace(each, ends_s=0.0) for each in self.minted]

    # -- requests

    def handle(self, request: Request) -> Response:
        """A token endpoint: the grant's parameters stand in the address, a form or JSON."""
        given = _parameters(request)
        return self._answered(given, lambda: self._refusal(request, given) or self._granted(given))

    def handle_login(
        self, request: Request, *, name: str = "username", word: str = "password", token: str = "token"
    ) -> Response:
        """A log-in, with these names for what is sent; the answer holds `token` and `expires_at`, as a time."""
        given = _parameters(request)

        def answer() -> Response:
            if given.get(name, "") not in self.logins or self.logins[given[name]] != given.get(word):
                return Response.json({"message": "Bad credentials"}, 401)
            return Response.json(
                {token: self.mint(subject=given[name]), "expires_at": self._ends_at(), **self.beside}, 201
            )

        return self._answered(given, answer)

    def _answered(self, given: dict[str, str], answer: Callable[[], Response]) -> Response:
        with self._lock:
            self.asked.append(given)
            if self.answers:
                return self.answers.popleft()
        fault = self.faults.take()
        if fault is not None and fault.kind not in ("slow", "commit_then_cut"):
            return _faulty(fault)
        response = answer()
        response.fault = fault
        return response

    # -- who asks, and for what

    def _refusal(self, request: Request, given: dict[str, str]) -> Response | None:
        if request.method != "POST":
            return _error("invalid_request", "expected POST", 405)
        kind = request.headers.get("content-type", "").partition(";")[0]
        if request.body and kind not in (FORM, "application/json"):
            return _error("invalid_request", "expected a form or JSON")
        grant = given.get("grant_type", "")
        refused = self._grant_refused(grant, request, given)
        if refused is not None:
            return refused
        asked = set(given.get("scope", "").split())
        if self.scopes is not None and not asked <= self.scopes:
            return _error("invalid_scope", "no such scope")
        if self.audiences is not None and given.get("audience") not in self.audiences:
            return _error("invalid_target", "no such audience")
        return None

    def _grant_refused(self, grant: str, request: Request, given: dict[str, str]) -> Response | None:
        if grant == JWT_BEARER and self.accounts:
            fault = self.assertions.fault_of(given.get("assertion", ""), self.accounts)
            if fault is not None:
                return _error("invalid_grant", fault)
            return None if self.consented else _error("consent_required", "the user has to agree first")
        known = bool(self.clients or self.client_keys)
        if grant not in ("client_credentials", "account_credentials", "refresh_token") or not known:
            return _error("unsupported_grant_type", f"no {grant} here")
        client = self._client(request, given)
        if client is None:
            return _error("invalid_client", "unknown client or wrong secret", 401)
        if grant == "account_credentials" and given.get("account_id") not in self.account_ids:
            return _error("invalid_request", "no such account")
        if grant == "refresh_token":
            return self._refresh_refused(client, given.get("refresh_token", ""))
        return None

    def _refresh_refused(self, client: str, token: str) -> Response | None:
        with self._lock:
            if token in self.spent_refresh_tokens:  # stolen, for all that can be known: nobody is to go on with it
                self.refresh_tokens.clear()
            if self.refresh_tokens.get(token) != client:
                return _error("invalid_grant", "the refresh token is unknown, expired or was used before")
        return None

    def _client(self, request: Request, given: dict[str, str]) -> str | None:
        header = request.headers.get("authorization", "")
        scheme, _, coded = header.partition(" ")
        own = _HEADER.fullmatch(header)
        if "client_assertion" in given:
            client = given.get("client_id", "")
            fault = self.assertions.fault_of(given["client_assertion"], self.client_keys, subject=client)
            return None if fault else client
        if own:
            client, secret = own[1], own[2]
        elif scheme.lower() == "basic":
            name, _, word = base64.b64decode(coded).decode().partition(":")
            client, secret = unquote_plus(name), unquote_plus(word)
        else:
            client, secret = given.get("client_id", ""), given.get("client_secret", "")
        return client if self.clients.get(client) == secret else None

    # -- minting

    def mint(self, *, scope: str = "", audience: str = "", subject: str = "") -> str:
        """A new token."""
        value = f"ya29.{secrets.token_urlsafe(32)}"
        with self._lock:
            self.minted.append(Minted(value, self.clock() + self.lifetime_s, scope, audience, subject))
        return value

    def _granted(self, given: dict[str, str]) -> Response:
        value = self.mint(scope=given.get("scope", ""), audience=given.get("audience", ""))
        answer: dict[str, Any] = {"access_token": value, "token_type": "Bearer", **self.beside}
        if self.tells_life:
            answer["expires_in"] = int(self.lifetime_s)
        used = given.get("refresh_token")
        if used is not None and self.rotating:
            answer["refresh_token"] = self._rotated(used)
        return Response.json(answer, headers=[("Cache-Control", "no-store")])

    def _rotated(self, used: str) -> str:
        with self._lock:
            client = self.refresh_tokens.pop(used, "")
            self.spent_refresh_tokens.add(used)
            following = f"rt.{secrets.token_urlsafe(24)}"
            self.refresh_tokens[following] = client
            return following

    def _ends_at(self) -> str:
        return rfc3339_ms(int((self.clock() + self.lifetime_s) * 1000))


def _parameters(request: Request) -> dict[str, str]:
    found = dict(request.query)
    if request.headers.get("content-type", "").partition(";")[0] == "application/json":
        try:
            value = json.loads(request.body or b"{}")
        except ValueError:
            return found
        return {**found, **{str(name): str(text) for name, text in value.items()}} if isinstance(value, dict) else found
    return {**found, **dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))}


def _error(code: str, description: str, status: int = 400) -> Response:
    return Response.json({"error": code, "error_description": description}, status)


def _faulty(fault: Fault) -> Response:
    if fault.kind == "html":
        return Response(200, b"<html><body>Sign in</body></html>", [("Content-Type", "text/html")])
    if fault.kind.isdigit():
        waits = [("Retry-After", fault.retry_after)] if fault.retry_after else []
        return Response.json({"error": "temporarily_unavailable"}, int(fault.kind), waits)
    return Response(200, b'{"access_token":"half', fault=fault)
