"""A token for a declared request: a log-in, or an exchange of one credential for another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from flicker_dagster.config.auth.login import LoginAuth
from flicker_dagster.config.placeholders import fill_all
from flicker_dagster.config.secrets import references, resolve, texts_of
from flicker_dagster.transport.auth_fixed import with_parameters
from flicker_dagster.transport.auth_minted import MintedToken, Minter, identity
from flicker_dagster.transport.auth_opening import Opening
from flicker_dagster.transport.exchange import Authenticator, Request
from flicker_dagster.transport.tokens import Token


def login(auth: LoginAuth, opening: Opening, *, signs: Callable[[], Authenticator]) -> MintedToken:
    """`signs` opens what the request is signed with. Raises SecretUnset, and ValueError for what cannot be used."""

    def make(fresh: bool) -> Minter:
        request = _request(auth, opening, fresh=fresh)
        endpoint = opening.endpoint(request.url, auth, asked_by="url")
        secrets = _secrets(auth, opening, fresh=fresh)
        signer = signs()

        def ask() -> Token:
            return endpoint.answer_to(request, secrets=secrets, signer=signer)

        read = (auth.token_field, auth.token_in, *auth.tells)
        sent = (request.method, request.url, repr(sorted(request.headers.items())), repr(request.body))
        return Minter(identity(*sent, "\x01", *read, *secrets), ask)

    return opening.minted(auth, make)


def _request(auth: LoginAuth, opening: Opening, *, fresh: bool) -> Request:
    def filled(given: Mapping[str, str]) -> dict[str, str]:
        return {name: opening.resolve(template, fresh=fresh) for name, template in given.items()}

    url, headers, body = opening.resolve(auth.url, fresh=fresh), filled(auth.headers), None
    if auth.query:
        url = with_parameters(url, filled(auth.query))
    if auth.json_body is not None:
        value = fill_all(dict(auth.json_body), _braced, env=opening.env, fresh=fresh)
        body, kind = json.dumps(value).encode(), "application/json"
    else:
        body, kind = urlencode(filled(auth.form_body or {})).encode(), "application/x-www-form-urlencoded"
    if auth.method == "GET":
        return Request("GET", url, headers)
    has_kind = any(name.lower() == "content-type" for name in headers)
    typed = {} if has_kind or not body else {"Content-Type": kind}
    return Request(auth.method, url, {**typed, **headers}, body)


def _braced(name: str) -> str:
    """A log-in's texts know no placeholders."""
    return f"{{{name}}}"


def _secrets(auth: LoginAuth, opening: Opening, *, fresh: bool) -> tuple[str, ...]:
    """What the configuration's references stand for: to be masked in the server's words, and to know a change by."""
    return tuple(
        resolve(str(reference), env=opening.env, fresh=fresh)
        for _, text in texts_of(auth, "auth")
        for reference in references(text)
        if reference.default is None
    )
