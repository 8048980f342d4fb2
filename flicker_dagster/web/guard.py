"""What stands in front of Dagster's web UI: it lets through what the rules allow, and answers the rest itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from flicker_dagster.web.complaints import Complaints
from flicker_dagster.web.hosts import Authority
from flicker_dagster.web.mutations import refused_mutation
from flicker_dagster.web.rules import GRAPHQL, Refusal, refusal, told

log = logging.getLogger("flicker.web")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: A backfill of six years of hours names its windows in one request of so much.
BODY_BYTES = 2 * 1024 * 1024

#: For the whole of a body, so that none is held for ever.
BODY_S = 30.0

HEALTHY, READY = "/healthz", "/readyz"

#: https://owasp.org/www-project-secure-headers/: no frame around the UI, nothing of it read by or told to other sites.
SECURITY_HEADERS = {
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
FRAMES = (b"content-security-policy", b"frame-ancestors 'none'")  # beside the page's own policy


class Guard:
    """An ASGI application around another. `ready` tells whether Flicker is, and is asked by anybody."""

    def __init__(
        self,
        app: App,
        *,
        ready: Callable[[], Awaitable[bool]],
        allowed: Iterable[Authority] = (),
        read_only: bool = False,
        body_s: float = BODY_S,
    ) -> None:
        self._app = app
        self._ready = ready
        self._allowed = tuple(allowed)
        self._read_only = read_only
        self._body_s = body_s
        self._complaints = Complaints()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in (HEALTHY, READY):
            await self._probed(scope, send)
        elif refused := refusal(scope, self._allowed, read_only=self._read_only):
            await self._refuse(refused, scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST":
            await self._write(scope, receive, send)
        else:
            await self._hand_on(scope, receive, send)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is wrong with a request (GraphQL that is a list, or is nested too deep) Dagster's UI answers with a 500, and
        raises: whoever asks must not fill the log with stacks."""
        try:
            await self._app(scope, receive, with_headers(send))
        except Exception as error:
            what = told(f"{type(error).__name__}: {error}")
            self._complaints.tell("failed", f"the web UI failed at {told(scope['path'])}: {what}")
            log.debug("the web UI failed", exc_info=True)

    async def _probed(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, "only GET and HEAD")
        elif scope["path"] == HEALTHY:
            await answer(send, 200, "ok")
        else:
            ready = await self._ready()
            await answer(send, 200 if ready else 503, "ready" if ready else "not ready")

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request that may change something on, once its body is here as a whole."""
        try:
            body = await asyncio.wait_for(_body_of(receive), self._body_s)
        except asyncio.TimeoutError:
            body = Refusal(408, "slow body", f"the request's body was not here within {self._body_s:g} s")
        if body is None:
            return  # whoever asked has gone
        if isinstance(body, bytes) and self._read_only and scope["path"] == GRAPHQL:
            body = await asyncio.to_thread(refused_mutation, body) or body
        if isinstance(body, Refusal):
            await self._refuse(body, scope, receive, send)
        else:
            await self._hand_on(scope, _replay(body, receive), send)

    async def _refuse(self, refused: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        asked = "WebSocket" if scope["type"] == "websocket" else scope["method"]
        self._complaints.tell(refused.kind, f"the web UI refused {told(asked)} {told(scope['path'])}: {refused.text}")
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1008, "reason": refused.kind})
        else:
            await answer(send, refused.status, f"Refused: {refused.text}.")


def with_headers(send: Send) -> Send:
    """The same channel, on which every answer carries the headers that keep other sites out."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in SECURITY_HEADERS]
            message = {**message, "headers": [*own, *SECURITY_HEADERS.items(), FRAMES]}
        await send(message)

    return sending


async def answer(send: Send, status: int, text: str) -> None:
    """One line of text, and the end."""
    body = f"{text}\n".encode("utf-8", "backslashreplace")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *([(b"connection", b"close")] if status in (408, 413) else []),
    ]
    send = with_headers(send)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body_of(receive: Receive) -> bytes | Refusal | None:
    """The body, counted as it comes, whatever its announced length; None where the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            return Refusal(413, "body", f"the request's body is longer than {BODY_BYTES} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A channel that gives the body once, and then what comes after it: the client's leaving."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
